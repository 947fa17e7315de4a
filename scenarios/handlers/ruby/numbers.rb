# frozen_string_literal: true

module Handlers
  # The number workflows: exact integers of any size, as decimal strings in JSON.
  module Numbers
    # The same input and parents would be as wrong at the next attempt.
    Fail = Stepmark::Fail
    # What a task is given, at most.
    INPUT_MAX = (1 << 64) - 1

    def self.register(worker)
      square, multiply = method(:square), method(:multiply_and_square)
      worker
        .handler("ruby_e2e_linear", "square", square)
        .handler("ruby_e2e_diamond", "square", square)
        .handler("ruby_e2e_diamond", "multiply_and_square", multiply)
        .handler("ruby_e2e_mixed_dag", "square", square)
        .handler("ruby_e2e_mixed_dag", "multiply_and_square", multiply)
        .handler("ruby_e2e_mixed_dag", "multiply_all_and_square", multiply)
        .handler("ruby_e2e_tree", "square", square)
        .handler("ruby_e2e_tree", "multiply_all_and_square", multiply)
    end

    # Squares the value of its one parent, or the input where it has none.
    def self.square(step)
      values = parent_values(step)
      raise Fail, "square takes one parent at most" if values.size > 1

      squared(values.first || input(step))
    end

    # Multiplies the values of all parents, then squares.
    def self.multiply_and_square(step)
      values = parent_values(step)
      raise Fail, "there is no parent to multiply the values of" if values.empty?

      squared(values.inject(:*))
    end

    def self.input(step)
      number = step.context["even_number"]
      unless number.is_a?(Integer) && number.between?(0, INPUT_MAX)
        raise Fail, "even_number is #{number.inspect}, not an integer from 0 to #{INPUT_MAX}"
      end
      raise Fail, "even_number is #{number}, which is odd" if number.odd?

      number
    end

    def self.parent_values(step)
      step.parent_results.map do |name, result|
        value = result.is_a?(Hash) ? result["value"] : nil
        unless value.is_a?(String) && value.match?(/\A[+-]?\d+\z/)
          raise Fail, "#{name} gave #{value.inspect}, not an integer"
        end

        Integer(value, 10)
      end
    end

    def self.squared(value)
      { value: (value**2).to_s }
    end
    private_class_method :input, :parent_values, :squared
  end
end
