# frozen_string_literal: true

require_relative "support"
require "minitest/mock"

class LogTest < Minitest::Test
  # What reaches the core of a log's use.
  def written
    lines = []
    Stepmark::Native.stub(:log, ->(*line) { lines << line }) { yield Stepmark::Log.new("a/b") }
    lines
  end

  def test_levels_are_the_core_s
    lines = written do |log|
      log.debug("1")
      log.info("2")
      log.warn("3")
      log.error("4")
      log.fatal("5")
      log.unknown("6")
      log << "7"
    end
    levels = %w[debug info warn error error info info]
    assert_equal levels.zip(["a/b"] * 7, %w[1 2 3 4 5 6 7]), lines
  end

  def test_it_is_used_as_any_logger
    lines = written do |log|
      log.info { "from a block" }
      log.info("elsewhere") { "of another name" }
      log.add(Logger::WARN, "added")
      log.log(nil, 7)
      log.level = Logger::WARN
      log.info("unheard") { flunk "it is not even made" }
    end
    expected = [["info", "a/b", "from a block"], ["info", "elsewhere", "of another name"],
                ["warn", "a/b", "added"], ["info", "a/b", "7"]]
    assert_equal expected, lines
  end

  def test_what_is_no_text_becomes_one
    lines = written do |log|
      log.info([1, nil])
      log.info("\xff".b)
      log.error(ArgumentError.new("no luck"))
    end
    texts = lines.map(&:last)
    assert_equal ["[1, nil]", "\u{fffd}"], texts.first(2)
    assert_match(/no luck \(ArgumentError\)/, texts[2])
  end

  def test_outside_of_a_worker_it_is_silent
    assert_silent { Stepmark.logger.error("nobody hears this") }
    assert_same Stepmark.logger, Stepmark.logger
  end
end
