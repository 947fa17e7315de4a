# frozen_string_literal: true

# The scenarios' step handlers in Ruby, as a worker program.
require_relative "handlers"

Handlers.worker.run
