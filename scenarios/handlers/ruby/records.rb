# frozen_string_literal: true

require "strscan"

module Handlers
  # Records of a CSV file as RFC 4180 has them, with the bytes where they stand: what Ruby's own
  # parser, which reads ahead and wants line ends to be of one kind, doesn't tell.
  module Records
    # What is no CSV.
    class Malformed < StandardError; end

    # In quotes, which are doubled inside, or without.
    FIELD = /"((?>[^"]+|"")*+)"|([^",]*)/

    # Yields the fields of each record, its first byte, and the byte after it. A record goes on over
    # the lines that its quotes hold open; empty lines are none.
    def self.each(file)
      from_byte = file.pos
      record = +""
      file.each_line do |line|
        raise Malformed, "not UTF-8 at byte #{from_byte}" unless line.valid_encoding?

        record << line
        next if record.count('"').odd?

        to_byte = from_byte + record.bytesize
        record.chomp!
        yield fields_of(record), from_byte, to_byte unless record.empty?
        from_byte, record = to_byte, +""
      end
      raise Malformed, "a quote is never closed" unless record.empty?
    end

    def self.fields_of(record)
      return record.split(",", -1) unless record.include?('"')

      scanner, fields = StringScanner.new(record), []
      loop do
        scanner.skip(FIELD)
        fields << (scanner[1] ? scanner[1].gsub('""', '"') : scanner[2])
        return fields if scanner.eos?
        raise Malformed, "a quote in the middle of a field: #{record}" unless scanner.skip(/,/)
      end
    end
    private_class_method :fields_of
  end
end
