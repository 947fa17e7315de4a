# frozen_string_literal: true

module Stepmark
  # Runs handlers for a bridge, on threads that take the events themselves. There is one to begin
  # with; one that leaves nobody waiting for the next event starts another, up to the worker's
  # concurrency.
  # @api private
  class Host
    # @param bridge [Native::Bridge]
    # @param handlers [Hash{Array<String> => #call}] by namespace and name
    # @param decimal_class [Class, nil] see {Worker#initialize}
    def initialize(bridge, handlers, decimal_class)
      @bridge = bridge
      @handlers = handlers
      @reading = { decimal_class: decimal_class }
      @concurrency = bridge.concurrency
      @lock = Mutex.new
      @threads = []
      @at_work = 0
      start_thread
    end

    # To be called once the bridge has ended.
    # @return [Boolean] whether a handler is still at work, whom nobody waits for
    def stuck?
      @lock.synchronize { @at_work.positive? }
    end

    private

    def start_thread
      @lock.synchronize do
        @threads.select!(&:alive?)
        return if @threads.size >= @concurrency

        @threads << Thread.new { serve }
      end
    end

    def serve
      Thread.current.abort_on_exception = true
      while (taken = @bridge.take)
        begun = now
        document, waiting = taken
        start_thread if waiting.zero?
        event = JSON.parse(document, @reading)
        # An interrupt is for those who ask `interrupted?`: Ruby code can't be stopped safely.
        attempt(event, begun) if event["kind"] == "step"
      end
    end

    # Runs one handler, and answers whatever comes of it.
    def attempt(event, begun)
      call, answer = event.fetch("call"), nil
      read = now
      value, error = outcome_of(event)
      handled = now
      answer = error ? Answer.of_error(error) : Answer.of_value(value)
      @bridge.answer(call, answer, handled - read, (read - begun) + (now - handled))
    ensure
      replace_thread(call) unless answer
    end

    # What the handler returns, or what it raises: a handler that exits or overflows its stack has
    # failed, as with any error, and the process goes on.
    def outcome_of(event)
      @lock.synchronize { @at_work += 1 }
      handler = @handlers.fetch([event["namespace"], event["handler"]])
      handler = handler.new if handler.is_a?(Class)
      [handler.call(Step.new(@bridge, event)), nil]
    rescue Exception => e
      [nil, e]
    ensure
      @lock.synchronize { @at_work -= 1 }
    end

    # The handler has ended its own thread.
    def replace_thread(call)
      answer = Answer.of_error(ThreadError.new("the handler has ended its thread"))
      @bridge.answer(call, answer, 0, 0)
      @lock.synchronize { @threads.delete(Thread.current) }
      start_thread
    rescue ThreadError
      nil # it is the process that ends, and this thread with it
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
    end
  end
end
