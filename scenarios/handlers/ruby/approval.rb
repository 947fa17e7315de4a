# frozen_string_literal: true

require_relative "decimal"

module Handlers
  # The approval workflow: a decision among three branches by an amount of money, exactly.
  module Approval
    NAMESPACE = "conditional_approval_ruby"
    # From this amount on a manager approves.
    MANAGER_FROM = Decimal.parse("1000")
    # Above this amount finance reviews.
    FINANCE_ABOVE = Decimal.parse("5000")

    Fail = Stepmark::Fail

    # A JSON number with a fraction or an exponent, as it was written: through a Float it would not
    # be exact.
    Written = Struct.new(:text) do
      alias_method :to_s, :text
      alias_method :inspect, :text
    end

    def self.register(worker)
      worker
        .handler(NAMESPACE, "validate_request", method(:validate_request))
        .handler(NAMESPACE, "routing_decision", method(:routing_decision))
        .handler(NAMESPACE, "auto_approve") { |step| approve(step, "system") }
        .handler(NAMESPACE, "manager_approval") { |step| approve(step, "manager") }
        .handler(NAMESPACE, "finance_review") { |step| approve(step, "finance") }
        .handler(NAMESPACE, "finalize_approval", method(:finalize_approval))
    end

    def self.validate_request(step)
      amount = parse(step.context["amount"])
      raise Fail, "amount is #{amount}: it must be above 0" if amount <= Decimal::ZERO

      { amount: amount.to_s }
    end

    def self.routing_decision(step)
      amount, = only_parent(step, "amount")
      branch = route(parse(amount))
      Stepmark::Branch.new({ amount: amount, branch: branch }, [branch])
    end

    # Below 1,000, up to 5,000, and above.
    def self.route(amount)
      return "auto_approve" if amount < MANAGER_FROM

      amount <= FINANCE_ABOVE ? "manager_approval" : "finance_review"
    end

    def self.approve(step, approver)
      amount, = only_parent(step, "amount")
      { amount: amount, approved_by: approver }
    end

    def self.finalize_approval(step)
      amount, approver = only_parent(step, "amount", "approved_by")
      { amount: amount, approved: true, approved_by: approver }
    end

    # Texts of the result of the one parent that has run: of the three branches, the chosen one.
    def self.only_parent(step, *fields)
      results = step.parent_results.values
      raise Fail, "#{results.size} parents have a result, not one" unless results.size == 1

      texts = results.first.is_a?(Hash) ? results.first.values_at(*fields) : []
      return texts if texts.any? && texts.all?(String)

      raise Fail, "the parent's result is #{results.first.inspect}: it has no #{fields.join(', ')}"
    end

    def self.parse(amount)
      case amount
      when Integer, Written, String then Decimal.parse(amount.to_s)
      else raise Decimal::Invalid, "not a decimal number"
      end
    rescue Decimal::Invalid => e
      raise Fail, "amount is #{amount.inspect}: #{e.message}"
    end
    private_class_method :approve, :only_parent
  end
end
