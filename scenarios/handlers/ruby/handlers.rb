# frozen_string_literal: true

require_relative "../../../engine/bindings/ruby/lib/stepmark"
require_relative "approval"
require_relative "numbers"
require_relative "products"

# The handlers of all workflows.
module Handlers
  # Those of one's own: each file `own/NAME.rb` is a module `Name` of this one, whose `register` is
  # given the worker. Nothing else names it. `own/NAME_test.rb` is its test.
  module Own
    FILES = Dir[File.join(__dir__, "own", "*.rb")].reject { |it| it.end_with?("_test.rb") }.sort
    FILES.each { |file| require file }

    # @return [Array<Module>]
    def self.workflows
      FILES.map { |file| const_get(File.basename(file, ".rb").split("_").map(&:capitalize).join) }
    end
  end

  # @return [Stepmark::Worker]
  def self.worker
    # Money is exact: its digits are kept as they were written.
    worker = Stepmark::Worker.new(decimal_class: Approval::Written)
    [Numbers, Approval, Products, *Own.workflows].each { |workflow| workflow.register(worker) }
    worker
  end
end
