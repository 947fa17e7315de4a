# frozen_string_literal: true

# The handlers of the workflow `@name@`.
module Handlers::Own::@Name@
  # The template's namespace, and the scenario's name.
  NAMESPACE = "@name@_ruby"
  # What a task may be given: so small that no result is too large.
  NUMBERS = (-(2**15)...(2**15)).freeze

  # Registers the handlers, by the names that the template has for them.
  def self.register(worker)
    worker
      .handler(NAMESPACE, "start", method(:start))
      .handler(NAMESPACE, "double", method(:double))
      .handler(NAMESPACE, "square", method(:square))
      .handler(NAMESPACE, "add", method(:add))
  end

  # Takes the task's number. Another attempt is given the same: this failure is permanent.
  def self.start(step)
    number = step.context["number"]
    return { value: number } if number.is_a?(Integer) && NUMBERS.cover?(number)

    raise Stepmark::Fail, "number is #{number.inspect}, not an integer in #{NUMBERS}"
  end

  # Doubles it.
  def self.double(step)
    { value: value_of(step, "start") * 2 }
  end

  # Squares it.
  def self.square(step)
    { value: value_of(step, "start")**2 }
  end

  # Adds what both have made.
  def self.add(step)
    { value: value_of(step, "double") + value_of(step, "square") }
  end

  # The result of a step that this one depends on.
  def self.value_of(step, parent)
    result = step.parent_results[parent] or raise Stepmark::Fail, "no #{parent}"
    result["value"]
  end
  private_class_method :value_of
end
