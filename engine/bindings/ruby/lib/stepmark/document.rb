# frozen_string_literal: true

require "json"

module Stepmark
  # JSON that holds what it is given, or is refused: nothing is changed in silence. Keys may be
  # Symbols, as Ruby writes them; they are read as Strings.
  # @api private
  module Document
    # What a value has that JSON can't hold.
    class Unwritable < Error; end

    # Deeper than the engine stores; what contains itself is deeper than anything.
    DEPTH_MAX = 100

    module_function

    # @param name [String] what the value is called in the error
    # @return [String] JSON
    # @raise [Unwritable] with the place in the value
    def write(value, name)
      place, flaw = flaw(value, 0)
      raise Unwritable, "#{name}#{place} #{flaw}" if flaw

      JSON.generate(value)
    end

    # @return [String] the text in UTF-8, whatever it is made of
    def readable(text)
      text = text.dup.force_encoding(Encoding::UTF_8) if text.encoding == Encoding::BINARY
      text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).scrub
    end

    # Where something is wrong, below the value, and what; nil for what JSON can hold.
    def flaw(value, depth)
      case value
      when nil, true, false, Integer then nil
      when String then flaw_of_text(value)
      when Float then ["", "is #{value}, which JSON can't hold"] unless value.finite?
      when Array, Hash
        return ["", "is nested deeper than #{DEPTH_MAX} levels"] if depth == DEPTH_MAX

        value.is_a?(Array) ? flaw_of_array(value, depth) : flaw_of_hash(value, depth)
      else ["", "is of the class #{value.class}, which JSON can't hold"]
      end
    end

    def flaw_of_array(array, depth)
      array.each_with_index do |item, index|
        place, flaw = flaw(item, depth + 1)
        return ["[#{index}]#{place}", flaw] if flaw
      end
      nil
    end

    def flaw_of_hash(hash, depth)
      hash.each do |key, item|
        return ["", "has the key #{key.inspect}, which is no text"] unless text?(key)
        return ["", "has the key #{key.inspect} twice"] if twice?(hash, key)

        place, flaw = flaw(item, depth + 1)
        return ["[#{key.to_s.inspect}]#{place}", flaw] if flaw
      end
      nil
    end

    def text?(key)
      key.is_a?(Symbol) || (key.is_a?(String) && !flaw_of_text(key))
    end

    def twice?(hash, key)
      key.is_a?(Symbol) && hash.key?(key.name)
    end

    def flaw_of_text(text)
      return if text.encoding == Encoding::UTF_8 ? text.valid_encoding? : text.ascii_only?

      text.encode(Encoding::UTF_8)
      ["", "is not valid #{text.encoding}"] unless text.valid_encoding?
    rescue EncodingError
      ["", "is a text of #{text.encoding} that is no UTF-8"]
    end
  end
end
