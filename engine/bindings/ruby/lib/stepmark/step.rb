# frozen_string_literal: true

module Stepmark
  # One attempt at a step: what a handler is given.
  #
  # JSON objects are Hashes with String keys, in the order in which they were stored. They are this
  # attempt's own.
  class Step
    # @return [String] namespace of the task's template
    attr_reader :namespace
    # @return [String] name of the handler that the template asks for
    attr_reader :handler
    # @return [String] the task that the step belongs to
    attr_reader :task_uuid
    # @return [String] name of the step in its task
    attr_reader :name
    # @return [String] what the step is to its task: standard, decision, batchable, batch_worker or
    #   deferred_convergence
    attr_reader :type
    # @return [Integer] which attempt this is, from 1
    attr_reader :attempt
    # @return [Integer] attempts that the template allows
    attr_reader :max_attempts
    # @return [Integer] how long this attempt may take, heartbeats or not, in milliseconds
    attr_reader :timeout_ms
    # @return [String] the same for every attempt at this step, and for no other step: give it to
    #   systems outside as their idempotency key, because a handler may run more than once
    attr_reader :idempotency_token
    # @return [Hash] the task's context, as it was posted
    attr_reader :context
    # @return [Hash{String => Object}] results of the steps that this one waited for, by their
    #   names; those that were skipped or have failed have none
    attr_reader :parent_results
    # @return [Object, nil] a batch worker's batch, as the batchable step made it
    attr_reader :input
    # @return [Object, nil] how far an earlier attempt at this step has come, if it said
    attr_reader :checkpoint

    # @api private
    def initialize(bridge, event)
      @bridge = bridge
      @call = event.fetch("call")
      @parents_failed = event.fetch("parents_failed")
      @name = event.fetch("step")
      @namespace, @handler, @task_uuid, @type, @attempt, @max_attempts, @timeout_ms,
        @idempotency_token, @context, @parent_results, @input, @checkpoint =
        event.fetch_values("namespace", "handler", "task_uuid", "type", "attempt", "max_attempts",
                           "timeout_ms", "idempotency_token", "context", "parent_results", "input",
                           "checkpoint")
    end

    # @param worker [String] name of a batch worker, a step of the template
    # @return [Array<Object>] results of its instances, in the order of their batches; none of those
    #   that have failed
    def batch_results(worker)
      instance = /\A#{Regexp.escape(worker)}_\d{3,}\z/
      results = parent_results.select { |name, _| instance.match?(name) }
      results.sort_by { |name, _| [name.length, name] }.map(&:last)
    end

    # @return [Hash{String => Hash}] errors of those parents that have failed and that this step
    #   goes on without, by their names: instances of a batch worker whose template says
    #   `continue_on_failure`. Asks the database when there are any.
    # @raise [Away] the database is away
    def parent_failures
      return {} if @parents_failed.zero?

      JSON.parse(@bridge.parent_failures(@call))
    end

    # Tells that this handler is still at work: its lease begins anew, though no further than the
    # step's time-out. Nobody does so on its behalf: a handler that takes longer than the lease
    # (`--lease-ms`) and does not call this loses its step.
    # @return [nil]
    # @raise [ClaimEnded] stop; what this handler returns is not stored
    # @raise [Away] the database is away; try again
    def heartbeat
      @bridge.heartbeat(@call, nil)
    end

    # Tells that this handler is still at work, and how far it has come, for an attempt that follows
    # to go on from there. Durable when it returns.
    # @param value [Object] any JSON value
    # @return [nil]
    # @raise [ClaimEnded] stop; what this handler returns is not stored
    # @raise [Away] the database is away; try again
    # @raise [CheckpointRefused] the value can't be stored
    def save_checkpoint(value)
      @bridge.heartbeat(@call, Document.write(value, "checkpoint"))
    rescue Document::Unwritable => e
      raise CheckpointRefused, e.message
    end

    # @return [Boolean] whether the step is no longer this handler's, which should stop: its task
    #   was cancelled, its lease has expired, or the attempt has taken too long
    def interrupted?
      @bridge.interrupted?(@call)
    end

    # @return [Log] a logger that writes into the worker's log, under the handler's name
    def logger
      @logger ||= Log.new("#{namespace}/#{handler}")
    end
  end
end
