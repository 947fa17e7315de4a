# frozen_string_literal: true

module Handlers
  # An exact decimal of up to 28 places and 96 bits, which keeps its places: 1.50 is not 1.5, though
  # equal to it.
  class Decimal
    include Comparable

    # What isn't a decimal, or has become too large for one.
    class Invalid < StandardError; end

    PLACES_MAX = 28
    DIGITS_MAX = (1 << 96) - 1
    NUMBER = /\A(?<sign>[+-]?)(?<whole>\d*)(?:\.(?<places>\d*))?(?:[eE](?<exponent>[+-]?\d+))?\z/

    # @param text [String] a decimal number, with an exponent or without
    # @return [Decimal]
    # @raise [Invalid]
    def self.parse(text)
      number = NUMBER.match(text) or raise Invalid, "not a decimal number"
      places, exponent = number.values_at(:places, :exponent).map(&:to_s)
      digits = number[:whole] + places
      raise Invalid, "no digits" if digits.empty?
      raise Invalid, "the exponent is beyond 28" if exponent.to_i.abs > PLACES_MAX

      new("#{number[:sign]}#{digits}".to_i, places.size).shifted(exponent.to_i)
    end

    # @return [Integer] the number without its point
    attr_reader :digits
    # @return [Integer] decimal places
    attr_reader :places

    def initialize(digits, places)
      raise Invalid, "more than 28 decimal places" if places > PLACES_MAX
      raise Invalid, "more than 28 digits" if digits.abs > DIGITS_MAX

      @digits = digits
      @places = places
    end

    ZERO = new(0, 0)

    # The number times a power of ten.
    def shifted(exponent)
      return Decimal.new(digits, places - exponent) if exponent <= places

      Decimal.new(digits * (10**(exponent - places)), 0)
    end

    def +(other)
      places = [self.places, other.places].max
      Decimal.new(digits_at(places) + other.digits_at(places), places)
    end

    # @param count [Integer]
    def *(count)
      Decimal.new(digits * count, places)
    end

    # @param count [Integer]
    # @return [Decimal] the quotient of this many places, rounded half up (away from zero)
    def divided(count, places)
      quotient = Rational(digits, count * (10**self.places))
      Decimal.new((quotient * (10**places)).round(half: :up), places)
    end

    # @return [Decimal] the same number with this many places or more
    def padded(places)
      places > self.places ? Decimal.new(digits_at(places), places) : self
    end

    def <=>(other)
      places = [self.places, other.places].max
      digits_at(places) <=> other.digits_at(places)
    end

    def to_s
      sign = "-" if digits.negative?
      whole = digits.abs.to_s.rjust(places + 1, "0")
      places.zero? ? "#{sign}#{whole}" : "#{sign}#{whole[0...-places]}.#{whole[-places..]}"
    end

    protected

    def digits_at(places)
      digits * (10**(places - self.places))
    end
  end
end
