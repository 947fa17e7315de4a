# frozen_string_literal: true

# The handlers of the workflow `@name@`.
module Handlers::Own::@Name@
  # The template's namespace, and the scenario's name.
  NAMESPACE = "@name@_ruby"
  # What a task may be given: so small that no result is too large.
  NUMBERS = (-(2**15)...(2**15)).freeze
  # Most numbers in a batch.
  BATCH_SIZE = 2

  # Registers the handlers, by the names that the template has for them.
  def self.register(worker)
    worker
      .handler(NAMESPACE, "divide", method(:divide))
      .handler(NAMESPACE, "work", method(:work))
      .handler(NAMESPACE, "total", method(:total))
  end

  # Divides the numbers into batches: each becomes a step `work_001`, `work_002` and so on.
  def self.divide(step)
    numbers = step.context["numbers"]
    # Another attempt is given the same: these failures are permanent.
    raise Stepmark::Fail, "numbers is #{numbers.inspect}, not a list" unless numbers.is_a?(Array)

    numbers.each do |number|
      next if number.is_a?(Integer) && NUMBERS.cover?(number)

      raise Stepmark::Fail, "#{number.inspect} is not an integer in #{NUMBERS}"
    end
    batches = numbers.each_slice(BATCH_SIZE).to_a
    Stepmark::FanOut.new({ batches: batches.size }, batches)
  end

  # Adds the numbers of one batch.
  def self.work(step)
    { sum: step.input.sum }
  end

  # Adds what the batches have come to.
  def self.total(step)
    { sum: step.batch_results("work").sum { |result| result["sum"] } }
  end
end
