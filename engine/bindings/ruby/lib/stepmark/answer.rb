# frozen_string_literal: true

require "json"

module Stepmark
  # The answer to a step's event, as the core reads it: JSON of what a handler has returned or
  # raised.
  # @api private
  module Answer
    # Frames of this library are no news in a backtrace.
    OWN = "#{File.expand_path(__dir__)}/"

    module_function

    # @return [String] JSON
    def of_value(value)
      case value
      when Branch then branch(value)
      when FanOut then fan_out(value)
      else "{\"complete\":{\"result\":#{Document.write(value, 'result')}}}"
      end
    rescue Document::Unwritable => e
      fail_with(e.message)
    end

    # @param error [Exception]
    # @return [String] JSON
    def of_error(error)
      case error
      when Fail then fail_with(message_of(error))
      when Retry
        JSON.generate({ retry: { failure: { message: message_of(error) },
                                 after_ms: error.after && (error.after * 1000).round } })
      else JSON.generate({ retry: { failure: failure(error), after_ms: nil } })
      end
    end

    def branch(value)
      branches = value.branches
      unless branches.is_a?(Array) && branches.all?(String)
        return fail_with("branches are #{branches.inspect}, not an Array of names")
      end

      result = Document.write(value.result, "result")
      "{\"branch\":{\"result\":#{result},\"branches\":#{Document.write(branches, 'branches')}}}"
    end

    def fan_out(value)
      batches = value.batches
      return fail_with("batches are no Array") unless batches.is_a?(Array)

      result = Document.write(value.result, "result")
      "{\"fan_out\":{\"result\":#{result},\"batches\":#{Document.write(batches, 'batches')}}}"
    end

    def fail_with(message)
      JSON.generate({ fail: { failure: { message: message } } })
    end

    def failure(error)
      { message: message_of(error), exception: error.class.to_s, stack: stack_of(error) }
    end

    # A class of exceptions may say its message in any way, or fail to.
    def message_of(error)
      Document.readable(error.message.to_s)
    rescue StandardError => e
      "#{error.class}, whose message can't be had: #{e.class}"
    end

    # Where it was raised, and what it was raised because of.
    def stack_of(error)
      lines = frames_of(error)
      while (error = error.cause)
        lines += ["caused by #{error.class}: #{message_of(error)}", *frames_of(error)]
      end
      Document.readable(lines.join("\n"))
    end

    # Without those of this library that called the handler.
    def frames_of(error)
      frames = error.backtrace || []
      last = frames.rindex { |frame| !frame.start_with?(OWN) }
      last ? frames[0..last] : frames
    end
  end
end
