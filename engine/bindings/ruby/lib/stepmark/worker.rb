# frozen_string_literal: true

module Stepmark
  # A worker: handlers, and the way to run them.
  #
  #   worker = Stepmark::Worker.new
  #   worker.handler("examples", "greet") { |step| { text: "Hello, #{step.context["name"]}!" } }
  #   worker.run
  class Worker
    # @return [Hash{Array<String> => #call, Class}] the handlers by namespace and name
    # @api private
    attr_reader :handlers
    # @return [Class, nil]
    # @api private
    attr_reader :decimal_class

    # @param decimal_class [Class, nil] what numbers with a fraction or an exponent are read as:
    #   Float when nil, or a class such as BigDecimal, which a Float would not be exact for. It is
    #   given the number's text, by `try_convert` or `new`.
    def initialize(decimal_class: nil)
      @handlers = {}
      @decimal_class = decimal_class
    end

    # Registers the handler that templates of a namespace call by a name: a block, an object with
    # `call`, or a class whose instances have it, one for each attempt. It is given a {Step}, and
    # returns the step's result (any JSON value; Symbols are good as keys), a {Branch} or a
    # {FanOut}; it raises {Retry}, {Fail} or anything else.
    #
    # It may run more than once for a step, on any worker: what it does outside must be keyed by
    # {Step#idempotency_token}. Several run at once, on threads, up to `--concurrency`. One that
    # does not end within 2 seconds after its time is over costs the process: the worker drains and
    # ends with exit code 75.
    #
    # @param namespace [String] the templates' namespace
    # @param name [String] the handler's name in the templates
    # @param callable [#call, Class, nil] instead of a block
    # @return [self]
    # @raise [ArgumentError] there is no handler or two, or the name is taken
    def handler(namespace, name, callable = nil, &block)
      raise ArgumentError, "give a block or an object, and not both" if callable && block

      handler = callable || block
      able = handler.is_a?(Class) ? handler.method_defined?(:call) : handler.respond_to?(:call)
      raise ArgumentError, "a handler needs `call`: #{handler.inspect} has none" unless able

      key = [String(namespace), String(name)]
      raise ArgumentError, "there is a handler #{key.join('/')} already" if handlers.key?(key)

      handlers[key] = handler
      self
    end

    # Runs the worker as a program, and ends the process with its exit code: 0 drained, 2 bad
    # configuration, 3 no database, broker or port, 75 a handler did not end. Configuration is from
    # flags and environment, which `--help` tells; the log goes to standard error. SIGTERM and
    # Ctrl-C drain it.
    #
    # @param arguments [Array<String>] the program's flags
    # @raise [SystemExit]
    def run(arguments = ARGV)
      drain_on_signals
      bridge = Native.start(handlers.keys, [$PROGRAM_NAME, *arguments])
      exit(bridge) if bridge.is_a?(Integer)

      @bridge = bridge
      bridge.stop if @signalled
      host = Host.new(bridge, handlers, decimal_class)
      exit_code = bridge.wait
      exit(exit_code) unless host.stuck?

      # Threads would be waited for, and what has been registered for the end may wait for them.
      [$stdout, $stderr].each(&:flush)
      exit!(exit_code)
    end

    private

    # The core does so itself once it has begun; Ruby's own handlers, which it calls too, would
    # raise an exception here.
    def drain_on_signals
      %w[INT TERM].each do |signal|
        trap(signal) do
          @signalled = true
          @bridge&.stop
        end
      end
    end
  end
end
