# frozen_string_literal: true

require_relative "../stepmark"

module Stepmark
  # Handlers tried out in memory: whole tasks, from their creation to their end, without database,
  # broker or clock. Decisions, batches, retries and failures go as they go in an engine; steps run
  # one after the other, and a retry comes at once.
  module Testing
    # A task at its end.
    #
    # @!attribute state
    #   @return [String] the state that it has ended in, such as "Complete" or "Error"
    # @!attribute steps
    #   @return [Hash{String => EndedStep}] every step by its name, instances of batch workers too
    EndedTask = Struct.new(:state, :steps, keyword_init: true)

    # A step of a task at its end.
    #
    # @!attribute state
    #   @return [String] the state that it has ended in
    # @!attribute result
    #   @return [Object, nil] what its handler has made, if it is Complete
    # @!attribute error
    #   @return [Hash, nil] the error document of its last attempt, if that has failed
    # @!attribute attempts
    #   @return [Integer] the attempts made
    EndedStep = Struct.new(:state, :result, :error, :attempts, keyword_init: true)

    # An answer of a scenario is wrong, or nothing could be run.
    class AssertionError < Error; end

    module_function

    # Runs a task of a template through the worker's handlers, to its end.
    #
    # @param worker [Worker]
    # @param template [String] path of the template's file
    # @param context [Hash] the task's context
    # @return [EndedTask]
    # @raise [AssertionError] the template or the context is none
    def run_task(worker, template, context)
      context = Document.write(context, "context")
      bridge = Native.run_task(worker.handlers.keys, template.to_s, context)
      task = JSON.parse(verdict(worker, bridge))
      steps = task["steps"].transform_values { |step| EndedStep.new(**step) }
      EndedTask.new(state: task["state"], steps: steps)
    rescue Document::Unwritable => e
      raise AssertionError, e.message
    end

    # Runs each input of a scenario's file, whose right answers stand beside it.
    #
    # @param worker [Worker]
    # @param scenario [String] path of the scenario's file
    # @param templates [String] path of the folder with its template
    # @param namespace [String, nil] take the template of this namespace, and not the scenario's own
    # @return [nil]
    # @raise [AssertionError] names step, result and right result where an answer is wrong
    def check_scenario(worker, scenario, templates, namespace: nil)
      keys = worker.handlers.keys
      bridge = Native.check_scenario(keys, scenario.to_s, templates.to_s, namespace)
      verdict(worker, bridge)
      nil
    end

    # Serves the events until the test is over.
    def verdict(worker, bridge)
      Host.new(bridge, worker.handlers, worker.decimal_class)
      right, text = bridge.verdict
      raise AssertionError, text unless right

      text
    end
    private_class_method :verdict
  end
end
