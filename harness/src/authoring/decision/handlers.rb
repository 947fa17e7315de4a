# frozen_string_literal: true

# The handlers of the workflow `@name@`.
module Handlers::Own::@Name@
  # The template's namespace, and the scenario's name.
  NAMESPACE = "@name@_ruby"
  # What a task may be given: so small that no result is too large.
  NUMBERS = (-(2**15)...(2**15)).freeze
  # Numbers from here on are doubled and not squared.
  LARGE = 100

  # Registers the handlers, by the names that the template has for them.
  def self.register(worker)
    worker
      .handler(NAMESPACE, "choose", method(:choose))
      .handler(NAMESPACE, "double", method(:double))
      .handler(NAMESPACE, "square", method(:square))
      .handler(NAMESPACE, "finish", method(:finish))
  end

  # Chooses a branch; the other one is skipped.
  def self.choose(step)
    number = step.context["number"]
    # Another attempt is given the same: this failure is permanent.
    unless number.is_a?(Integer) && NUMBERS.cover?(number)
      raise Stepmark::Fail, "number is #{number.inspect}, not an integer in #{NUMBERS}"
    end

    Stepmark::Branch.new({ value: number }, [number < LARGE ? "square" : "double"])
  end

  # Doubles the number.
  def self.double(step)
    { value: chosen(step) * 2 }
  end

  # Squares the number.
  def self.square(step)
    { value: chosen(step)**2 }
  end

  # Tells which branch has run and what it has made: a branch that was skipped gives no result.
  def self.finish(step)
    step.parent_results.transform_values { |result| result["value"] }
  end

  # The number that the decision was made for.
  def self.chosen(step)
    result = step.parent_results["choose"] or raise Stepmark::Fail, "no decision"
    result["value"]
  end
  private_class_method :chosen
end
