# frozen_string_literal: true

require "minitest/autorun"
require "tmpdir"
require_relative "engine"
ENV["STEPMARK_NATIVE"] ||= File.join(Engine::BUILT, "libstepmark_ruby.so")
require_relative "../lib/stepmark/testing"

# Templates for tests, made from a line.
module Templates
  FOLDER = Dir.mktmpdir("stepmark-ruby-templates")
  Minitest.after_run { FileUtils.rm_rf(FOLDER) }

  # @return [String] path of a template with these steps, YAML of a list
  def self.write(name, steps, namespace: "tests", folder: ".")
    path = File.join(FOLDER, folder, "#{name}.yaml")
    FileUtils.mkdir_p(File.dirname(path))
    File.write(path, "{namespace: #{namespace}, name: #{name}, steps: #{steps}}\n")
    path
  end

  # Of one step and its handler, called as the template.
  def self.single(name, namespace: "tests", folder: ".", **step)
    steps = JSON.generate([{ name: name, handler: name, **step }])
    write(name, steps, namespace: namespace, folder: folder)
  end
end
