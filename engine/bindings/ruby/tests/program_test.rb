# frozen_string_literal: true

require_relative "support"

# Workers as programs, on a real engine.
class ProgramTest < Minitest::Test
  FAULTS = File.join(__dir__, "faults.rb")
  SINGLE = %w[echo raise exit big heartbeat wait log checkpoint system_exit].freeze
  STUCK = %w[loop hold_lock].freeze
  FOLDER = File.join(Templates::FOLDER, "engine")

  def self.engine
    @engine ||= begin
      SINGLE.each { |name| Templates.single(name, namespace: "faults_ruby", folder: "engine") }
      STUCK.each do |name|
        Templates.single(name, namespace: "faults_ruby", folder: "engine", timeout_ms: 500,
                               retry: { max_attempts: 1 })
      end
      FileUtils.cp(File.join(Engine::ROOT, "engine/examples/greet.yaml"), FOLDER)
      Engine.new(FOLDER).tap { |engine| Minitest.after_run { engine.close } }
    end
  end

  def engine
    self.class.engine
  end

  def faults(*arguments)
    @worker, url = engine.worker(FAULTS, *arguments)
    url
  end

  def teardown
    @worker&.close
  end

  def run_task(template, context = {})
    engine.run_task("faults_ruby", template, context)
  end

  def step_of(task)
    task.fetch("steps").fetch(0)
  end

  # An ended worker's status, and that its log has nothing of Ruby's.
  def assert_drained(status)
    assert_equal 0, status.exitstatus, @worker.log
    assert_match "drained", @worker.log
    refute_match(/\.rb:\d+|Interrupt|SignalException/, @worker.log)
  end

  def test_a_task_runs_to_its_end
    faults
    task = run_task("echo", { name: "Ada", list: [1, 2.5, nil] })
    assert_equal "Complete", task["state"], task.inspect
    expected = { "context" => { "name" => "Ada", "list" => [1, 2.5, nil] },
                 "parent_results" => {}, "input" => nil, "attempt" => 1 }
    assert_equal expected, step_of(task)["result"]
  end

  def test_the_example_greets
    @worker, = engine.worker(File.join(__dir__, "../examples/greet.rb"))
    task = engine.run_task("examples", "greeting", { name: "Ada" })
    texts = task["steps"].to_h { |step| [step["name"], step.dig("result", "text")] }
    assert_equal({ "greet" => "Hello, Ada!", "shout" => "HELLO, ADA!" }, texts)
    task = engine.run_task("examples", "greeting", {})
    assert_equal ["Error", "context needs a name"],
                 [task["state"], task["steps"].first.dig("error", "message")]
    @worker.signal(:INT)
    assert_drained(@worker.wait)
  end

  def test_a_failure_stands_in_the_task_with_class_and_backtrace
    faults
    error = step_of(run_task("raise"))["error"]
    assert_equal ["ArgumentError", "no luck"], error.values_at("exception", "message")
    assert_match(/\A#{FAULTS}:\d+:in `block in <main>'\z/, error["stack"])
  end

  def test_sigterm_drains_what_is_at_work
    faults
    id = engine.start_task("faults_ruby", "wait", { ms: 500 })
    engine.wait_for(id) { |task| step_of(task)["state"] == "InProgress" }
    @worker.signal(:TERM)
    assert_drained(@worker.wait)
    assert_equal "Complete", engine.task(id, wait_s: 10)["state"]
  end

  def test_ctrl_c_drains_without_a_trace
    faults
    @worker.signal(:INT)
    assert_drained(@worker.wait)
  end

  def test_handlers_run_side_by_side_up_to_the_concurrency
    faults("--concurrency", "4")
    ids = Array.new(5) { engine.start_task("faults_ruby", "wait", { ms: 1500 }) }
    states = Engine.wait_until("four at once") do
      states = ids.map { |id| step_of(engine.task(id))["state"] }
      states if states.count("InProgress") == 4
    end
    assert_equal %w[Enqueued InProgress], states.uniq.sort, "the fifth has to wait"
    assert_equal ["Complete"], ids.map { |id| engine.task(id, wait_s: 30)["state"] }.uniq
  end

  def test_the_time_that_handlers_take_is_measured
    url = faults
    run_task("wait", { ms: 200 })
    seconds = lambda do |part|
      Net::HTTP.get(URI("#{url}/metrics"))[/stepmark_step_seconds_total\{part="#{part}"\} (\S+)/, 1]
    end
    handler, run = %w[handler run].map { |part| seconds.call(part).to_f }
    assert_operator handler, :>=, 0.2
    assert_operator handler, :<=, run
    assert_includes 0.000001..0.1, seconds.call("serialisation").to_f
  end

  def test_a_cancelled_handler_learns_it_from_its_heartbeat
    faults
    id = engine.start_task("faults_ruby", "heartbeat", {})
    engine.wait_for(id) { |task| step_of(task)["state"] == "InProgress" }
    engine.cancel(id)
    assert_equal "Cancelled", engine.task(id, wait_s: 10)["state"]
    @worker.signal(:TERM) # which waits for the handler
    assert_drained(@worker.wait)
  end

  def test_a_checkpoint_survives_its_attempt
    faults
    assert_equal({ "checkpoint" => { "done" => 1 } }, step_of(run_task("checkpoint"))["result"])
  end

  def test_an_exit_in_a_handler_is_its_failure_and_not_the_process_s
    faults
    error = step_of(run_task("system_exit"))["error"]
    assert_equal %w[SystemExit exit], error.values_at("exception", "message")
    assert_equal "Complete", run_task("echo")["state"]
  end

  def test_large_results_are_stored_or_refused_and_the_worker_goes_on
    faults
    step = step_of(run_task("big"))
    assert_match(/10000011 bytes/, step["error"]["message"])
    assert_equal "Complete", run_task("echo")["state"]
  end

  def test_the_log_is_the_worker_s_own
    faults("--log-format", "json")
    run_task("log")
    line = @worker.log.lines.find { |text| text.include?("hello from the handler") }
    assert_equal({ "message" => "hello from the handler", "logger" => "faults_ruby/log" },
                 JSON.parse(line).fetch("fields"))
    assert_equal %w[INFO handler], JSON.parse(line).values_at("level", "target")
  end

  STUCK.each do |name|
    define_method("test_a_stuck_handler_costs_the_process: #{name}") do
      faults
      id = engine.start_task("faults_ruby", name, {})
      status = @worker.wait
      engine.cancel(id) # or other workers would have it next
      assert_equal 75, status.exitstatus, @worker.log
      assert_match "a handler does not end although its time is over", @worker.log
    end
  end

  def test_a_process_that_ends_at_once_is_not_waited_for
    faults
    id = engine.start_task("faults_ruby", "exit", {})
    assert_equal 3, @worker.wait.exitstatus
    engine.cancel(id)
  end

  def test_flags_are_answered_and_wrong_ones_refused
    run = lambda do |*arguments|
      out = IO.popen([RbConfig.ruby, "-w", FAULTS, *arguments, { err: %i[child out] }], &:read)
      [$?.exitstatus, out]
    end
    code, version = run.call("--version")
    assert_equal [0, "stepmark-engine "], [code, version[/\D+/]]
    assert_equal 20, run.call("--list-handlers").last.lines.size
    code, help = run.call("--help")
    assert_equal 0, code
    assert_match "Usage: #{File.basename(FAULTS)}", help
    code, error = run.call("--concurrency", "many")
    assert_equal 2, code
    assert_match "invalid value 'many'", error
    assert_equal 3, run.call("--database-url", "postgres://127.0.0.1:1/x", "--connect-ms", "100")[0]
  end
end
