# frozen_string_literal: true

require_relative "support"

# The library's own promises to Ruby.
class NativeTest < Minitest::Test
  # A test under way whose one step nobody answers, and its event.
  def waiting_bridge
    template = Templates.single("only")
    bridge = Stepmark::Native.run_task([%w[tests only]], template, "{}")
    event = JSON.parse(bridge.take.first)
    yield bridge
  ensure
    bridge.answer(event["call"], '{"complete":{"result":1}}', 0, 0) if event
    assert bridge.verdict.first if event
    assert_nil bridge.take
  end

  # A thread that waits in the library.
  def waiting_thread(&block)
    thread = Thread.new(&block)
    thread.report_on_exception = false
    Engine.wait_until("a waiting thread") { thread.status == "sleep" }
    thread
  end

  %i[take wait verdict].each do |method|
    define_method("test_a_thread_that_waits_can_be_had_back: #{method}") do
      waiting_bridge do |bridge|
        thread = waiting_thread { bridge.public_send(method) }
        thread.raise(KeyError, "come back")
        assert_raises(KeyError) { thread.join(10) }
        thread = waiting_thread { bridge.public_send(method) }
        thread.kill
        assert_same thread, thread.join(10)
        assert_raises(Timeout::Error) { Timeout.timeout(0.05) { bridge.public_send(method) } }
      end
    end
  end

  def test_other_threads_run_while_one_waits_and_an_interrupted_one_waits_on
    waiting_bridge do |bridge|
      thread = waiting_thread { bridge.take }
      handled = false
      before = trap("USR1") { handled = true }
      Process.kill(:USR1, Process.pid)
      Engine.wait_until("the signal's handler") { handled }
      thread.wakeup
      Engine.wait_until("the thread that waits again") { thread.status == "sleep" }
      thread.kill.join
    ensure
      trap("USR1", before)
    end
  end

  def test_a_signal_is_handled_in_a_main_thread_that_waits
    waiting_bridge do |bridge|
      before = trap("USR1") { raise KeyError, "from the signal" }
      thread = Thread.new do
        Engine.wait_until("a waiting main thread") { Thread.main.status == "sleep" }
        Process.kill(:USR1, Process.pid)
      end
      assert_raises(KeyError) { bridge.wait }
      thread.join
    ensure
      trap("USR1", before)
    end
  end

  def test_an_answer_that_is_none_is_the_step_s_failure
    template = Templates.single("only")
    bridge = Stepmark::Native.run_task([%w[tests only]], template, "{}")
    bridge.answer(JSON.parse(bridge.take.first)["call"], '{"what":1}', 0, 0)
    right, task = bridge.verdict
    assert right
    assert_match(/the handler's answer is not one: unknown variant `what`/, task)
  end
end
