# frozen_string_literal: true

# A worker whose handlers misbehave, for tests of the engine.
require_relative "../lib/stepmark"
require "fiddle"
require "set"

NAMESPACE = "faults_ruby"
WORKER = Stepmark::Worker.new

def handler(name, callable = nil, &block)
  WORKER.handler(NAMESPACE, name, callable, &block)
end

handler("echo") do |step|
  { context: step.context, parent_results: step.parent_results, input: step.input,
    attempt: step.attempt }
end

handler("raise") { raise ArgumentError, "no luck" }
handler("fail") { raise Stepmark::Fail, "bad input" }
handler("retry") do |step|
  raise Stepmark::Retry.new("not yet", after: 0.001) if step.attempt == 1

  { attempt: step.attempt }
end
handler("exit") { exit!(3) }
handler("system_exit") { exit(3) }
handler("crash") { Process.kill(:SEGV, Process.pid) && sleep }
handler("loop") { loop { nil } }
# As a C extension that computes for ever: no other thread of Ruby runs.
handler("hold_lock") do
  sleeping = Fiddle.dlopen(nil)["sleep"]
  Fiddle::Function.new(sleeping, [Fiddle::TYPE_INT], Fiddle::TYPE_INT, need_gvl: true).call(600)
end
handler("not_json") { { items: [1, Set.new([1])] } }
handler("big") { { text: "x" * 10_000_000 } }
handler("big_integer") { { value: (2**53) + 1 } }

handler("decide") { |step| Stepmark::Branch.new({}, step.context["choose"]) }
handler("split") do |step|
  batches = step.context["batches"]
  Stepmark::FanOut.new({ batches: batches.size }, batches)
end
handler("work") { |step| { doubled: 2 * step.input } }
handler("gather") do |step|
  { results: step.batch_results("work"), failures: step.parent_failures.keys }
end

handler("checkpoint") do |step|
  next { checkpoint: step.checkpoint } if step.attempt > 1

  step.save_checkpoint({ done: 1 })
  raise "half way"
end

# An object, and a class of objects.
class Heartbeat
  def call(step)
    loop do
      sleep 0.05
      step.heartbeat
    end
  rescue Stepmark::ClaimEnded
    {}
  end
end
handler("heartbeat", Heartbeat)

# Waits for a time that its task tells.
module Wait
  def self.call(step)
    sleep step.context["ms"] / 1000.0
    {}
  end
end
handler("wait", Wait)

handler("log") do |step|
  step.logger.info("hello from the handler")
  {}
end

WORKER.run
