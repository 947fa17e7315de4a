# frozen_string_literal: true

require_relative "support"
require "bigdecimal"
require "set"

class DocumentTest < Minitest::Test
  def write(value)
    Stepmark::Document.write(value, "result")
  end

  def refused(value)
    assert_raises(Stepmark::Document::Unwritable) { write(value) }.message
  end

  def test_what_json_holds_is_written_as_it_is
    value = { "a" => [1, -2.5, true, false, nil, "é\u{1f600}\n"], b: { "c" => {} }, "d" => 10**40 }
    assert_equal '{"a":[1,-2.5,true,false,null,"é😀\n"],"b":{"c":{}},"d":1' + "#{'0' * 40}}",
                 write(value)
    assert_equal value.transform_keys(&:to_s), JSON.parse(write(value))
    [nil, 1, "x", [], true].each { |scalar| assert_equal JSON.generate(scalar), write(scalar) }
  end

  def test_texts_of_other_encodings_are_the_same_texts_in_utf_8
    assert_equal "\"é\"", write("é".encode("ISO-8859-1"))
    assert_equal "\"é\"", write("é".encode("UTF-16LE"))
    assert_equal "\"plain\"", write("plain".b)
  end

  def test_what_json_can_t_hold_is_refused_with_its_place
    assert_equal "result is of the class Set, which JSON can't hold", refused(Set.new([1]))
    assert_equal "result[\"a\"][1] is of the class Symbol, which JSON can't hold",
                 refused({ a: [1, :b] })
    assert_equal "result[0][\"x\"] is NaN, which JSON can't hold", refused([{ "x" => Float::NAN }])
    assert_equal "result is -Infinity, which JSON can't hold", refused(-Float::INFINITY)
    [Object.new, Time.now, BigDecimal("1.5"), 1r, 1i, 1..2, Stepmark::Worker].each do |value|
      assert_equal "result[0] is of the class #{value.class}, which JSON can't hold",
                   refused([value])
    end
  end

  def test_texts_that_are_none_are_refused
    assert_equal "result[0] is not valid UTF-8", refused(["\xff"])
    assert_equal "result[0] is a text of ASCII-8BIT that is no UTF-8", refused(["\xff".b])
    assert_match "key \"\\xFF\", which is no text", refused({ "\xff" => 1 })
  end

  def test_keys_that_json_would_change_or_lose_are_refused
    assert_equal "result has the key 1, which is no text", refused({ 1 => 2 })
    assert_equal "result has the key nil, which is no text", refused({ nil => 2 })
    assert_equal "result[\"in\"] has the key :a twice", refused({ in: { a: 1, "a" => 2 } })
  end

  def test_cycles_and_depths_are_refused
    cycle = []
    cycle << cycle
    assert_match(/\Aresult(\[0\])+ is nested deeper than 100 levels\z/, refused(cycle))
    cycle = {}
    cycle[:self] = { again: cycle }
    assert_match(/ is nested deeper than 100 levels\z/, refused(cycle))
    deep = 99.times.inject([]) { |inner, _| [inner] }
    assert_equal deep, JSON.parse(write(deep))
  end
end
