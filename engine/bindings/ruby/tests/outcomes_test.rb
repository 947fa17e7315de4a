# frozen_string_literal: true

require_relative "support"
require "bigdecimal"
require "set"

# What handlers return and raise, and what becomes of their steps.
class OutcomesTest < Minitest::Test
  # The ended step of a task of one step.
  def ended(callable = nil, context: {}, worker: Stepmark::Worker.new, **step, &block)
    worker.handler("tests", "only", callable, &block)
    template = Templates.single("only", **step)
    Stepmark::Testing.run_task(worker, template, context).steps.fetch("only")
  end

  def test_any_json_value_is_a_result
    [nil, 3, 0.1, "text", [1, [2]], { "a" => { "b" => nil } }, true, 2**53 - 1].each do |value|
      step = ended { value }
      assert_equal ["Complete", 1], [step.state, step.attempts]
      value.nil? ? assert_nil(step.result) : assert_equal(value, step.result)
    end
  end

  # An object with `call`.
  Doubles = Struct.new(:factor) do
    def call(step)
      step.context["number"] * factor
    end
  end

  # A class whose objects have it, each for one attempt.
  class Counts
    def call(_step)
      @calls = @calls.to_i + 1
    end
  end

  def test_handlers_are_blocks_objects_or_classes
    assert_equal 14, ended(Doubles.new(2), context: { number: 7 }).result
    assert_equal 7, ended(->(step) { step.context["number"] }, context: { number: 7 }).result
    worker = Stepmark::Worker.new.handler("tests", "counts", Counts)
    steps = "[{name: one, handler: counts}, {name: two, handler: counts, depends_on: [one]}]"
    task = Stepmark::Testing.run_task(worker, Templates.write("counts", steps), {})
    assert_equal [1, 1], task.steps.values.map(&:result)
  end

  def test_a_handler_that_is_none_is_refused
    worker = Stepmark::Worker.new.handler("a", "b") { nil }
    [-> { worker.handler("a", "b") { nil } }, -> { worker.handler("a", "c") },
     -> { worker.handler("a", "c", Object) }, -> { worker.handler("a", "c", 3) },
     -> { worker.handler("a", "c", Counts) { nil } }].each do |wrong|
      assert_raises(ArgumentError, &wrong)
    end
    assert_equal [%w[a b]], worker.handlers.keys
  end

  def test_fail_ends_the_step_at_once
    step = ended { raise Stepmark::Fail, "bad input" }
    assert_equal ["Error", 1], [step.state, step.attempts]
    assert_equal({ "kind" => "handler", "message" => "bad input" }, step.error)
  end

  def test_retry_is_tried_again
    step = ended do |it|
      raise Stepmark::Retry.new("not yet", after: 0.5) if it.attempt == 1

      it.attempt
    end
    assert_equal ["Complete", 2, 2], [step.state, step.result, step.attempts]
    step = ended(retry: { max_attempts: 2 }) { raise Stepmark::Retry, "never" }
    assert_equal ["Error", 2, "never"], [step.state, step.attempts, step.error["message"]]
    refute step.error.key?("exception")
  end

  def test_a_pause_is_handed_on_in_milliseconds
    { 1.5 => 1500, 2 => 2000, 0 => 0, 1r / 3 => 333, nil => nil }.each do |after, ms|
      answer = JSON.parse(Stepmark::Answer.of_error(Stepmark::Retry.new("x", after: after)))
      assert_equal [{ "message" => "x" }, ms], answer["retry"].values_at("failure", "after_ms"),
                   after.inspect
    end
    [-1, Float::NAN, Float::INFINITY, "1", 1i].each do |after|
      assert_raises(ArgumentError) { Stepmark::Retry.new("x", after: after) }
    end
  end

  def test_any_other_exception_is_retried_and_told_with_class_and_backtrace
    step = ended(retry: { max_attempts: 2 }) do
      Integer("seven")
    rescue ArgumentError
      raise KeyError, "no luck"
    end
    assert_equal ["Error", 2], [step.state, step.attempts]
    assert_equal %w[KeyError no\ luck], step.error.values_at("exception", "message")
    stack = step.error["stack"].lines(chomp: true)
    assert_match(/\A#{__FILE__}:\d+:in `.*test_any_other/, stack.first)
    assert_includes stack, "caused by ArgumentError: invalid value for Integer(): \"seven\""
    refute stack.any? { |frame| frame.include?("lib/stepmark/host.rb") }, stack.join("\n")
  end

  # An exception that can't tell what it is about.
  class Mute < StandardError
    def message
      raise "no words"
    end
  end

  def test_exceptions_that_would_end_a_process_are_failures_of_the_step
    overflow = ->(step) { overflow.call(step) }
    killed = ->(_) { Thread.current.kill }
    { SystemExit => ->(_) { exit(3) }, Interrupt => ->(_) { raise Interrupt },
      NotImplementedError => ->(_) { raise NotImplementedError }, SystemStackError => overflow,
      LocalJumpError => Proc.new { return 1 }, UncaughtThrowError => ->(_) { throw :nobody },
      ThreadError => killed, Mute => ->(_) { raise Mute } }.each do |exception, handler|
      step = ended(handler, retry: { max_attempts: 2 })
      assert_equal ["Error", 2, exception.to_s],
                   [step.state, step.attempts, step.error["exception"]]
    end
  end

  def test_a_handler_s_own_timeout_is_its_failure
    step = ended(retry: { max_attempts: 1 }) { Timeout.timeout(0.01) { sleep } }
    assert_equal "Timeout::Error", step.error["exception"]
    assert_equal "done", ended { Timeout.timeout(10) { "done".tap { |_| sleep 0.01 } } }.result
  end

  def test_messages_in_any_encoding_arrive
    { "\xff".b => "\u{fffd}", "é".encode("ISO-8859-1") => "é", "a\xffb" => "a\u{fffd}b" }
      .each do |message, told|
      step = ended(retry: { max_attempts: 1 }) { raise ArgumentError, message }
      assert_equal told, step.error["message"]
      assert_equal told, ended { raise Stepmark::Fail, message }.error["message"]
    end
  end

  def test_a_result_that_json_can_t_hold_fails_and_says_where
    step = ended { { items: [1, Set.new] } }
    assert_equal ["Error", 1], [step.state, step.attempts]
    assert_equal "result[\"items\"][1] is of the class Set, which JSON can't hold",
                 step.error["message"]
    assert_match "beyond 2^53", ended { { value: 2**53 } }.error["message"]
  end

  def test_a_decision_chooses_branches
    steps = "[{name: route, type: decision, handler: route, branches: [left, right]}, " \
            "{name: left, handler: pass, depends_on: [route]}, " \
            "{name: right, handler: pass, depends_on: [route]}]"
    template = Templates.write("route", steps)
    worker = Stepmark::Worker.new.handler("tests", "pass") { |step| step.parent_results }
    worker.handler("tests", "route") { |step| Stepmark::Branch.new({ a: 1 }, step.context["to"]) }
    task = Stepmark::Testing.run_task(worker, template, { to: ["right"] })
    assert_equal %w[Skipped Complete], task.steps.values_at("left", "right").map(&:state)
    assert_equal({ "route" => { "a" => 1 } }, task.steps["right"].result)
    { "left" => "not an Array of names", [:left] => "not an Array of names", nil => "not an Array",
      ["up"] => "none of its branches" }.each do |to, message|
      worker.handlers[%w[tests route]] = ->(_) { Stepmark::Branch.new({}, to) }
      error = Stepmark::Testing.run_task(worker, template, {}).steps["route"].error
      assert_match message, error["message"]
    end
  end

  def test_batches_go_to_instances_and_their_results_and_failures_to_the_convergence
    steps = "[{name: split, type: batchable, handler: split, batches_max: 1002}, " \
            "{name: work, type: batch_worker, handler: work, depends_on: [split], " \
            "on_failure: continue_on_failure}, " \
            "{name: gather, type: deferred_convergence, handler: gather, depends_on: [work]}]"
    worker = Stepmark::Worker.new
    worker.handler("tests", "split") { |it| Stepmark::FanOut.new(nil, [*1..it.context["count"]]) }
    worker.handler("tests", "work") do |step|
      step.input == 3 ? raise(Stepmark::Fail, "three") : step.input * 2
    end
    worker.handler("tests", "gather") { |it| [it.batch_results("work"), it.parent_failures] }
    template = Templates.write("split", steps)
    task = Stepmark::Testing.run_task(worker, template, { count: 1002 })
    results, failures = task.steps["gather"].result
    assert_equal [*1..1002].tap { |all| all.delete(3) }.map { |number| number * 2 }, results
    assert_equal ["work_003"], failures.keys
    assert_equal "three", failures["work_003"]["message"]
    worker.handlers[%w[tests split]] = ->(_) { Stepmark::FanOut.new({}, 3) }
    task = Stepmark::Testing.run_task(worker, template, { count: 0 })
    assert_equal "batches are no Array", task.steps["split"].error["message"]
  end

  def test_a_handler_is_told_everything_of_its_step
    told = nil
    ended(context: { name: "Ada" }, timeout_ms: 1234, retry: { max_attempts: 7 }) do |step|
      told = step
      nil
    end
    assert_equal ["tests", "only", "only", "standard", 1, 7, 1234],
                 [told.namespace, told.handler, told.name, told.type, told.attempt,
                  told.max_attempts, told.timeout_ms]
    assert_match(/\A\h{8}(-\h{4}){3}-\h{12}\z/, told.task_uuid)
    assert_equal "#{told.task_uuid}/only", told.idempotency_token
    assert_equal [{ "name" => "Ada" }, {}, nil, nil, {}],
                 [told.context, told.parent_results, told.input, told.checkpoint,
                  told.parent_failures]
    assert told.interrupted?, "the attempt is over"
    assert_raises(Stepmark::ClaimEnded) { told.heartbeat }
  end

  def test_checkpoints_reach_the_next_attempt
    step = ended do |it|
      next [it.checkpoint, it.attempt, it.interrupted?] if it.attempt > 1

      assert_nil it.heartbeat
      it.save_checkpoint({ done: 1 })
      raise "half way"
    end
    assert_equal [{ "done" => 1 }, 2, false], step.result
  end

  def test_a_checkpoint_that_can_t_be_stored_is_refused
    step = ended do |it|
      [{ at: Time.now }, { text: "\0" }].map do |value|
        it.save_checkpoint(value)
      rescue Stepmark::CheckpointRefused => e
        e.message
      end
    end
    assert_match "checkpoint[\"at\"] is of the class Time", step.result[0]
    assert_match "which PostgreSQL can't store", step.result[1]
  end

  def test_decimals_are_read_as_the_class_that_was_asked_for
    context = { amount: 0.1, count: 3 }
    handler = ->(step) { step.context.values.map { |value| [value.class.to_s, value.to_s] } }
    assert_equal [%w[Float 0.1], %w[Integer 3]], ended(handler, context: context).result
    worker = Stepmark::Worker.new(decimal_class: BigDecimal)
    assert_equal [%w[BigDecimal 0.1e0], %w[Integer 3]],
                 ended(handler, context: context, worker: worker).result
  end

  def test_a_test_that_can_t_be_run_says_why
    worker = Stepmark::Worker.new
    [["no such file", {}, /no such file/], [Templates.single("only"), [], /JSON object/],
     [Templates.single("only"), { at: Time.now }, /context\["at"\] is of the class Time/]]
      .each do |template, context, message|
      error = assert_raises(Stepmark::Testing::AssertionError) do
        Stepmark::Testing.run_task(worker, template, context)
      end
      assert_match message, error.message
    end
  end

  def test_a_scenario_says_which_answer_is_wrong_and_how_it_had_to_be
    Dir.mktmpdir do |folder|
      FileUtils.cp(Templates.single("only"), folder)
      scenario = File.join(folder, "scenario.yml")
      File.write(scenario, <<~YAML)
        name: of_a_test
        workflow: {namespace: elsewhere, template: only}
        input: {number: 6}
        expected: {task_state: Complete, steps: {only: {state: Complete, result: {value: 36}}}}
      YAML
      worker = Stepmark::Worker.new
      worker.handler("tests", "only") { |step| { value: step.context["number"] } }
      check = -> { Stepmark::Testing.check_scenario(worker, scenario, folder, namespace: "tests") }
      error = assert_raises(Stepmark::Testing::AssertionError, &check)
      assert_match 'the step only has the result {"value":6} and not {"value":36}', error.message
      worker.handlers[%w[tests only]] = ->(it) { { value: it.context["number"]**2 } }
      assert_nil check.call
    end
  end
end
