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
      .handler(NAMESPACE, "double", method(:double))
      .handler(NAMESPACE, "increase", method(:increase))
      .handler(NAMESPACE, "square", method(:square))
  end

  # Doubles the task's number.
  def self.double(step)
    { value: given(step) * 2 }
  end

  # Adds one to what the step `double` has made.
  def self.increase(step)
    { value: value_of(step, "double") + 1 }
  end

  # Squares what the step `increase` has made.
  def self.square(step)
    { value: value_of(step, "increase")**2 }
  end

  # The task's number. Another attempt is given the same: this failure is permanent.
  def self.given(step)
    number = step.context["number"]
    return number if number.is_a?(Integer) && NUMBERS.cover?(number)

    raise Stepmark::Fail, "number is #{number.inspect}, not an integer in #{NUMBERS}"
  end

  # The result of a step that this one depends on.
  def self.value_of(step, parent)
    result = step.parent_results[parent] or raise Stepmark::Fail, "no #{parent}"
    result["value"]
  end
  private_class_method :given, :value_of
end
