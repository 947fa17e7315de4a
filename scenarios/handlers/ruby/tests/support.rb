# frozen_string_literal: true

require "minitest/autorun"
require "tmpdir"

ROOT = File.expand_path("../../../..", __dir__)
ENV["STEPMARK_NATIVE"] ||= File.join(ROOT, "target/debug/libstepmark_ruby.so")
require_relative "../handlers"
require_relative "../../../../engine/bindings/ruby/lib/stepmark/testing"

# Where workers run, for the files that an input names.
Dir.chdir(ROOT)

# What tests of handlers have in common.
class HandlersTest < Minitest::Test
  TEMPLATES = File.join(ROOT, "fixtures/workflows")
  WORKER = Handlers.worker

  # The ended task of a template of ours.
  def run_task(template, context)
    Stepmark::Testing.run_task(WORKER, File.join(TEMPLATES, "#{template}.yaml"), context)
  end

  # Fails unless the handlers give the answers of a scenario's file, such as `tier1/linear_rust`; of
  # another language's with the namespace of this one's template.
  def assert_right(scenario, namespace: nil)
    path = File.join(ROOT, "scenarios", "#{scenario}.yaml")
    assert_nil Stepmark::Testing.check_scenario(WORKER, path, TEMPLATES, namespace: namespace)
  rescue Stepmark::Testing::AssertionError => e
    flunk e.message
  end

  # What a step of it has ended with: its result, or its error's message.
  def ended(template, context, step)
    ended = run_task(template, context).steps.fetch(step)
    ended.state == "Complete" ? ended.result : ended.error["message"]
  end
end
