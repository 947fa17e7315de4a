# frozen_string_literal: true

# Workers for the workflow engine stepmark: handlers in Ruby over the engine's own worker core.
module Stepmark
end

require_relative "stepmark/outcomes"
require_relative "stepmark/native"
require_relative "stepmark/document"
require_relative "stepmark/answer"
require_relative "stepmark/log"
require_relative "stepmark/step"
require_relative "stepmark/host"
require_relative "stepmark/worker"
