# frozen_string_literal: true

require_relative "support"

class ApprovalTest < HandlersTest
  BOUNDARIES = {
    "0.01" => "auto_approve", "500" => "auto_approve",
    "999.9999999999999999999999" => "auto_approve", "1e3" => "manager_approval",
    "1000.00" => "manager_approval", "5000" => "manager_approval",
    "5000.0000000000000000000001" => "finance_review", "1000000" => "finance_review"
  }.freeze
  APPROVERS = { "auto_approve" => "system", "manager_approval" => "manager",
                "finance_review" => "finance" }.freeze

  def test_both_boundaries_belong_to_the_manager_and_amounts_stay_as_they_were_written
    BOUNDARIES.each do |amount, branch|
      steps = run_task("conditional_approval_ruby", { amount: amount }).steps
      written = amount == "1e3" ? "1000" : amount
      assert_equal({ "amount" => written, "branch" => branch }, steps["routing_decision"].result)
      final = { "amount" => written, "approved" => true, "approved_by" => APPROVERS[branch] }
      assert_equal final, steps["finalize_approval"].result
      APPROVERS.each_key do |other|
        assert_equal other == branch ? "Complete" : "Skipped", steps[other].state, amount
      end
    end
  end

  def test_numbers_are_amounts_as_texts_are
    { 1000 => "1000", 999.99 => "999.99" }.each do |number, text|
      validated = ended("conditional_approval_ruby", { amount: number }, "validate_request")
      assert_equal({ "amount" => text }, validated)
    end
    BOUNDARIES.each do |text, branch|
      number = JSON.parse("[#{text}]", decimal_class: Handlers::Approval::Written).first
      assert_equal branch, Handlers::Approval.route(Handlers::Approval.parse(number)), text
    end
  end

  def test_what_is_no_amount_is_refused
    amounts = ["", "ten", "1e400", "0x10", "1,000", "null", "9" * 40, " 5", "1.2.3", "-", "."]
    amounts.each do |amount|
      error = assert_raises(Stepmark::Fail, amount) { Handlers::Approval.parse(amount) }
      assert_match "amount is #{amount.inspect}: ", error.message
    end
    { nil => "amount is nil: not", [5] => "amount is [5]: not",
      0 => "amount is 0: it must be above 0",
      "-0.50" => "amount is -0.50: it must be above 0" }.each do |amount, message|
      task = run_task("conditional_approval_ruby", { amount: amount })
      step = task.steps["validate_request"]
      assert_equal ["Error", 1], [task.state, step.attempts]
      assert_match message, step.error["message"]
    end
  end

  def test_decimals_are_exact_and_keep_their_places
    decimal = Handlers::Decimal.method(:parse)
    { "1.50" => "1.50", "-0.05" => "-0.05", ".5" => "0.5", "5." => "5", "+7" => "7",
      "1.5e3" => "1500", "1.500e1" => "15.00", "5e-3" => "0.005",
      "007" => "7" }.each do |text, written|
      assert_equal written, decimal.call(text).to_s
    end
    assert_equal "3.60", (decimal.call("1.2") + decimal.call("2.40")).to_s
    assert_equal "30.15", (decimal.call("10.05") * 3).to_s
    assert_equal decimal.call("1.50"), decimal.call("1.5")
    { ["0.0003", 2] => "0.0002", ["2.00", 3] => "0.6667", ["8", 2] => "4.0000",
      ["-0.0003", 2] => "-0.0002" }.each do |(sum, rows), mean|
      assert_equal mean, decimal.call(sum).divided(rows, 4).to_s
    end
    largest = decimal.call(((2**96) - 1).to_s)
    assert_raises(Handlers::Decimal::Invalid) { largest + decimal.call("1") }
    assert_raises(Handlers::Decimal::Invalid) { decimal.call("0.#{'0' * 28}1") }
  end
end
