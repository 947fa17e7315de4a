# frozen_string_literal: true

# All tests of the Ruby package and of the handlers in Ruby.
root = File.expand_path("../../../..", __dir__)
folders = ["engine/bindings/ruby/tests", "scenarios/handlers/ruby/tests"]
tests = folders.flat_map { |folder| Dir[File.join(root, folder, "**/*_test.rb")] }
tests.sort.each { |test| require test }
