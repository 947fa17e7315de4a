# frozen_string_literal: true

require "json"
require "net/http"
require "rbconfig"
require "tempfile"
require "timeout"

# A real engine for tests: a private PostgreSQL, an orchestrator, and workers as processes; all gone
# when the tests are over. Programs are those of the last build in the dev profile.
class Engine
  ROOT = File.expand_path("../../../..", __dir__)
  BUILT = File.join(ROOT, "target/debug")
  WAIT_S = 30

  # A process whose output is read line by line.
  class Program
    attr_reader :pid, :output

    def initialize(environment, *command)
      @log = Tempfile.new("stepmark-ruby") # gone with this process
      @output, out = IO.pipe
      input, @stdin = IO.pipe
      @pid = spawn(environment, *command, chdir: ROOT, in: input, out: out, err: @log.path)
      [input, out].each(&:close)
    end

    # The first line of its output that matches, or a failure that shows the log.
    def line(pattern)
      Timeout.timeout(WAIT_S) do
        while (line = output.gets)
          return line.match(pattern) if line.match?(pattern)
        end
      end
      raise "no #{pattern.inspect} of #{pid}: #{log}"
    end

    def log
      File.read(@log.path)
    end

    def signal(name)
      Process.kill(name, pid)
    end

    # @return [Process::Status]
    def wait
      @status ||= Timeout.timeout(WAIT_S) { Process.wait2(pid).last }
    end

    def close
      return if @status

      @stdin.close
      Process.kill(:TERM, pid)
      wait
    end
  end

  def self.wait_until(what)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + WAIT_S
    until (found = yield)
      now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      raise "waited #{WAIT_S} s in vain for #{what}" if now > deadline

      sleep 0.01
    end
    found
  end

  attr_reader :environment

  # @param templates [String] folder of the templates
  def initialize(templates)
    @programs = []
    postgres = start({}, File.join(BUILT, "examples/servers"), "postgres")
    url = postgres.line(/^postgres \d+ (\S+)/)[1]
    @environment = { "STEPMARK_DATABASE_URL" => url, "STEPMARK_LISTEN" => "127.0.0.1:0",
                     "STEPMARK_SWEEP_MS" => "200" }
    orchestrator = start(environment, File.join(BUILT, "stepmark-orchestrator"),
                         "--templates", templates)
    @url = orchestrator.line(/^listening on (\S+)/)[1]
  end

  def start(environment, *command)
    Program.new(environment, *command).tap { |program| @programs.unshift(program) }
  end

  # A worker's process, at work.
  def worker(script, *arguments)
    library = File.join(ROOT, "engine/bindings/ruby/lib")
    program = start(environment, RbConfig.ruby, "-w", "-I", library, script, *arguments)
    url = program.line(/^listening on (\S+)/)[1]
    [program, url]
  end

  # @return [String] the task's id
  def start_task(namespace, template, context)
    body = JSON.generate({ namespace: namespace, template: template, context: context })
    answer = Net::HTTP.post(URI("#{@url}/v1/tasks"), body, "Content-Type" => "application/json")
    JSON.parse(answer.body).fetch("task_uuid") { raise answer.body }
  end

  def task(id, wait_s: 0)
    JSON.parse(Net::HTTP.get(URI("#{@url}/v1/tasks/#{id}?wait=#{wait_s}")))
  end

  # A task at its end.
  def run_task(namespace, template, context)
    task(start_task(namespace, template, context), wait_s: WAIT_S)
  end

  # Waits until the task is as the block wants it.
  def wait_for(id)
    Engine.wait_until("another state of #{id}") { yield task(id) }
  end

  def cancel(id)
    Net::HTTP.post(URI("#{@url}/v1/tasks/#{id}/cancel"), "{}",
                   "Content-Type" => "application/json")
  end

  def close
    @programs.each(&:close)
  end
end
