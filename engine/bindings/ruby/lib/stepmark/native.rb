# frozen_string_literal: true

module Stepmark
  # The native library, which is the worker core itself.
  # @api private
  module Native
    # A library is of one minor version of Ruby.
    PACKAGED = File.join(__dir__, "prebuilds", RUBY_VERSION[/\d+\.\d+/], "libstepmark_ruby.so")

    # Loads the library that STEPMARK_NATIVE names, or the package's own.
    # @raise [LoadError] there is none
    def self.load
      path = ENV.fetch("STEPMARK_NATIVE", "")
      path = PACKAGED if path.empty?
      unless File.file?(path)
        raise LoadError, "stepmark's native library is not there: #{path}; build it with " \
                         "`make bindings`, or tell where it is in STEPMARK_NATIVE"
      end
      require File.expand_path(path)
    end
  end

  Native.load
end
