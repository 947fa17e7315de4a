# frozen_string_literal: true

require "logger"

module Stepmark
  # A Logger that writes into the worker's own log, in its format (`--log-format`), filtered by
  # RUST_LOG as everything there. Outside of a running worker, as in a test, it is silent.
  class Log < ::Logger
    # The core's levels.
    LEVELS = { DEBUG => "debug", WARN => "warn", ERROR => "error", FATAL => "error" }.freeze

    # @param name [String] the logger's name in the log
    def initialize(name)
      super(nil, progname: name)
    end

    # As Logger's.
    # @return [true]
    def add(severity, message = nil, progname = nil)
      severity ||= UNKNOWN
      return true if severity < level

      if message.nil? && block_given?
        message = yield
      elsif message.nil?
        message, progname = progname, nil
      end
      name = (progname || self.progname).to_s
      Native.log(LEVELS.fetch(severity, "info"), name, text_of(message))
      true
    end
    alias log add

    # A message without a level.
    # @return [self]
    def <<(message)
      add(INFO, message)
      self
    end

    private

    def text_of(message)
      text = case message
             when String then message
             when Exception then message.full_message(highlight: false)
             else message.inspect
             end
      Document.readable(text)
    end
  end

  # @return [Log] the logger of what is no handler's
  def self.logger
    @logger ||= Log.new("ruby")
  end
end
