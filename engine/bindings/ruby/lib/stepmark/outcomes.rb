# frozen_string_literal: true

module Stepmark
  # A decision's outcome: its result, and the chosen ones of its branches; the others are skipped.
  #
  # @!attribute result
  #   @return [Object] the step's result, any JSON value
  # @!attribute branches
  #   @return [Array<String>] names of the template's steps; none of them is a choice too
  Branch = Struct.new(:result, :branches)

  # A batchable step's outcome: its result, and what each instance of its batch worker is given.
  #
  # @!attribute result
  #   @return [Object] the step's result, any JSON value
  # @!attribute batches
  #   @return [Array<Object>] JSON values, the input of one instance each; with none of them there
  #     are no instances
  FanOut = Struct.new(:result, :batches)

  # What this library raises, and what handlers raise for it.
  class Error < StandardError; end

  # To be raised by a handler: this attempt has failed, and another one may not. Any other
  # exception means the same, and stands in the step's error with its class and backtrace.
  #
  #   raise Stepmark::Retry.new("the shop is closed", after: 60)
  class Retry < Error
    # @return [Numeric, nil] seconds before the next attempt; the template's backoff when nil
    attr_reader :after

    # @param message [String] for people
    # @param after [Numeric, nil] seconds before the next attempt, whatever the template's backoff
    #   says
    # @raise [ArgumentError] after is no time
    def initialize(message = nil, after: nil)
      super(message)
      good = after.nil? || (after.is_a?(Numeric) && after.real? && after.finite? && after >= 0)
      raise ArgumentError, "after is #{after.inspect}: it must be seconds, from 0" unless good

      @after = after
    end
  end

  # To be raised by a handler: the step has failed, and no attempt can mend that.
  class Fail < Error; end

  # The step is no longer this handler's: its task was cancelled, its lease has expired, or the
  # attempt has taken too long. The handler should stop: what it returns is not stored.
  class ClaimEnded < Error; end

  # The database is away. Trying again can help, until the lease expires.
  class Away < Error; end

  # The checkpoint can't be stored as it is.
  class CheckpointRefused < Error; end
end
