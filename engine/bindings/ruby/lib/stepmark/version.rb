# frozen_string_literal: true

module Stepmark
  # The package's version, which is the engine's.
  VERSION = "0.1.0"
end
