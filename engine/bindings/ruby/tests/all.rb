# frozen_string_literal: true

# All tests of the Ruby package and of the handlers in Ruby, or those in the files that it is given.
root = File.expand_path("../../../..", __dir__)
folders = ["engine/bindings/ruby/tests", "scenarios/handlers/ruby"]
tests = ARGV.select { |argument| argument.end_with?("_test.rb") }
tests = folders.flat_map { |folder| Dir[File.join(root, folder, "**/*_test.rb")] } if tests.empty?
tests.sort.each { |test| require File.expand_path(test) }
