# frozen_string_literal: true

require "stringio"
require_relative "decimal"
require_relative "inventory"
require_relative "records"

module Handlers
  # The product inventory: an analysis divides a CSV file into batches, a worker reads each, and an
  # aggregate merges what they found.
  #
  # The analysis notes at which byte each batch begins, so that a worker reads its own stretch of
  # the file and nothing else. All sums are exact decimals.
  module Products
    NAMESPACE = "csv_processing_ruby"
    # Longest stretch of one batch, in bytes: it is read as a whole.
    STRETCH_BYTES_MAX = 256 << 20

    Fail = Stepmark::Fail
    Retry = Stepmark::Retry

    def self.register(worker)
      worker
        .handler(NAMESPACE, "analyze_csv", method(:analyze_csv))
        .handler(NAMESPACE, "process_csv_batch", method(:process_csv_batch))
        .handler(NAMESPACE, "aggregate_csv_results", method(:aggregate_csv_results))
    end

    def self.analyze_csv(step)
      path, size = step.context.values_at("csv_path", "batch_size")
      raise Fail, "csv_path is #{path.inspect}, not a path" unless path.is_a?(String)
      unless size.is_a?(Integer) && size.positive?
        raise Fail, "batch_size is #{size.inspect}, not an integer above 0"
      end

      analysis, batches = File.open(path, "rb:bom|utf-8") { |file| analyze(path, file, size) }
      Stepmark::FanOut.new(analysis, batches)
    rescue SystemCallError => e
      raise Retry, "#{path}: #{e.message}" # a file that isn't there may come
    end

    def self.process_csv_batch(step)
      analysis = step.parent_results.values.first or raise Fail, "a batch without an analysis"
      batch = step.input
      Inventory.written(take_stock(batch, analysis["columns"], read_stretch(batch)))
    end

    def self.aggregate_csv_results(step)
      parts = step.batch_results("process_csv_batch").map { |part| Inventory.read(part) }
      Inventory.written_total(parts.inject(Inventory.none, :add))
    rescue Decimal::Invalid
      raise Fail, "a sum has more than 28 digits"
    end

    # Reads the file once, record by record: its columns, its rows, and where each batch stands.
    def self.analyze(path, file, size)
      columns, rows, batches = nil, 0, []
      each_record(path, file) do |fields, from_byte, to_byte|
        next columns = fields if columns.nil?

        row_error(path, rows + 1, fields, columns)
        if (rows % size).zero?
          batches << { csv_path: path, first_row: rows + 1, last_row: 0, from_byte: from_byte,
                       to_byte: 0 }
        end
        rows += 1
        batches.last.update(last_row: rows, to_byte: to_byte)
      end
      [{ rows: rows, batches: batches.size, columns: columns || [] }, batches]
    end

    # Records with the bytes where they stand; empty lines are none.
    def self.each_record(path, file)
      Records.each(file) { |record, from_byte, to_byte| yield record, from_byte, to_byte }
    rescue Records::Malformed => e
      raise Fail, "#{path}: #{e.message}"
    end

    def self.row_error(path, row, fields, columns)
      return if fields.size == columns.size

      raise Fail, "#{path}: row #{row}: it has #{fields.size} fields, and the first #{columns.size}"
    end

    # Reads the batch's stretch of its file, and nothing else of it.
    def self.read_stretch(batch)
      path, from_byte, to_byte = batch.values_at("csv_path", "from_byte", "to_byte")
      length = [to_byte - from_byte, 0].max
      if length > STRETCH_BYTES_MAX
        raise Fail, "a batch of #{length} bytes is too large: make batch_size smaller"
      end

      stretch = File.binread(path, length, from_byte).to_s.force_encoding(Encoding::UTF_8)
      raise Retry, "#{path}: failed to fill whole buffer" if stretch.bytesize < length

      stretch
    rescue SystemCallError => e
      raise Retry, "#{path}: #{e.message}"
    end

    # What the rows of a stretch amount to.
    def self.take_stock(batch, columns, stretch)
      path, row, last_row = batch.values_at("csv_path", "first_row", "last_row")
      wanted = last_row - row + 1
      inventory = Inventory.none
      each_record(path, StringIO.new(stretch)) do |fields, *|
        row_error(path, row, fields, columns)
        inventory.add(Inventory.of_row(columns.zip(fields).to_h))
        row += 1
      rescue Decimal::Invalid, ArgumentError, KeyError => e
        raise Fail, "#{path}: row #{row}: #{e.message}"
      end
      return inventory if inventory.rows == wanted

      raise Fail, "#{path}: there were #{wanted} rows from #{batch['first_row']} on, and now " \
                  "there are #{inventory.rows}: the file has changed"
    end
  end
end
