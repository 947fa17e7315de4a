# frozen_string_literal: true

require_relative "support"

class ProductsTest < HandlersTest
  FILE = "id,title,category,price,rating,stock\r\n" \
         "1,\"a, \"\"b\"\"\r\nc\",tools,10.05,4.50,3\r\n" \
         "2,plain,toys,7.1,3.00,0\n" \
         "\n" \
         "3,\"two\nlines\",tools,10.05,4.99,2\n" \
         "4,\"last\",books,0.01,1,1"

  def inventory(**context)
    run_task("batch_processing_products_csv_ruby", context)
  end

  # The ended steps of a task over a file with this content.
  def steps_of(content, batch_size)
    Dir.mktmpdir do |folder|
      path = File.join(folder, "p.csv")
      File.binwrite(path, content)
      inventory(csv_path: path, batch_size: batch_size).steps
    end
  end

  def failure_of(step)
    assert_equal ["Error", 1], [step.state, step.attempts]
    step.error["message"]
  end

  def test_batches_of_any_size_have_the_same_inventory
    total = { "rows" => 4, "inventory_value" => "50.26",
              "products_by_category" => { "books" => 1, "tools" => 2, "toys" => 1 },
              "dearest" => { "id" => 1, "title" => "a, \"b\"\r\nc", "price" => "10.05" },
              "rating_sum" => "13.49", "rating_mean" => "3.3725" }
    (1..5).each do |size|
      steps = steps_of(FILE, size)
      analysis = { "rows" => 4, "batches" => (4.0 / size).ceil,
                   "columns" => %w[id title category price rating stock] }
      assert_equal analysis, steps["analyze_csv"].result
      assert_equal total, steps["aggregate_csv_results"].result
      keys = %w[rows inventory_value products_by_category dearest rating_sum rating_mean]
      assert_equal keys, total.keys
    end
    assert_equal total, steps_of("\u{feff}#{FILE}", 3)["aggregate_csv_results"].result
  end

  def test_a_batch_reads_its_own_bytes_and_no_others
    (1..5).each do |size|
      _, batches = Handlers::Products.analyze("p.csv", StringIO.new(FILE), size)
      batches.each_cons(2) do |one, next_one|
        assert_operator one[:to_byte], :<=, next_one[:from_byte]
        assert_equal one[:last_row] + 1, next_one[:first_row]
      end
      last = batches.last
      assert_equal FILE.bytesize, last[:to_byte]
    end
  end

  def test_keys_stand_in_the_order_of_the_answers
    inventory = Handlers::Inventory.written(Handlers::Inventory.none)
    assert_equal %i[rows inventory_value products_by_category dearest rating_sum], inventory.keys
    row = { "id" => "7", "title" => "t", "price" => "1", "rating" => "2", "stock" => "3" }
    parts = %w[z b é a].map { |name| Handlers::Inventory.of_row({ **row, "category" => name }) }
    merged = Handlers::Inventory.written(parts.inject(:add))
    assert_equal %w[a b z é], merged[:products_by_category].keys
    assert_equal "{\"id\":7,\"title\":\"t\",\"price\":\"1\"}", JSON.generate(merged[:dearest])
  end

  def test_no_rows_have_no_mean
    total = { "rows" => 0, "inventory_value" => "0.00", "products_by_category" => {},
              "dearest" => nil, "rating_sum" => "0.00", "rating_mean" => nil }
    ["id,title\n", ""].each do |content|
      assert_equal total, steps_of(content, 3)["aggregate_csv_results"].result
    end
  end

  def test_of_products_as_dear_the_lowest_id_is_named
    rows = { 9 => "5.00", 4 => "7.0", 3 => "7.00", 8 => "7" }
    rows = rows.map { |id, price| "#{id},t,c,#{price},1,1\n" }
    content = "id,title,category,price,rating,stock\n#{rows.join}"
    dearest = steps_of(content, 1)["aggregate_csv_results"].result["dearest"]
    assert_equal({ "id" => 3, "title" => "t", "price" => "7.00" }, dearest)
  end

  def test_files_that_are_wrong_are_refused_with_their_row
    header = "id,title,category,price,rating,stock\n"
    good = "1,t,c,1.00,1,1\n"
    { "#{header}#{good}2,b\n" => /p\.csv: row 2: it has 2 fields, and the first 6\z/,
      "#{header}1,\"t,c,1.00,1,1\n" => /a quote is never closed\z/,
      "#{header}1,\xff,c,1.00,1,1\n" => /not UTF-8 at byte 37\z/ }.each do |content, message|
      assert_match message, failure_of(steps_of(content, 2)["analyze_csv"])
    end
    { "2,t,c,dear,1,1\n" => "row 2: not a decimal number",
      "-2,t,c,1,1,1\n" => 'row 2: "-2" is no count',
      "2,t,c,1,1,1.5\n" => 'row 2: "1.5" is no count' }.each do |row, message|
      step = steps_of(header + good + row, 9)["process_csv_batch_001"]
      assert_match message, failure_of(step)
    end
    step = steps_of("id,title\n1,t\n", 9)["process_csv_batch_001"]
    assert_match 'row 1: key not found: "category"', failure_of(step)
  end

  def test_a_stretch_that_is_not_what_it_was_is_refused
    columns = %w[id title category price rating stock]
    _, batches = Handlers::Products.analyze("p.csv", StringIO.new(FILE), 2)
    batch = batches.first.transform_keys(&:to_s)
    stretch = FILE.byteslice(batch["from_byte"]...batch["to_byte"])
    assert_equal 2, Handlers::Products.take_stock(batch, columns, stretch).rows
    ["", stretch[...20], stretch * 2].each do |changed|
      assert_raises(Stepmark::Fail) { Handlers::Products.take_stock(batch, columns, changed) }
    end
    assert_raises(Stepmark::Fail) { Handlers::Products.take_stock(batch, ["id"], stretch) }
  end

  def test_a_file_that_is_not_there_may_come
    task = inventory(csv_path: "/none.csv", batch_size: 3)
    assert_equal ["Error", 3], [task.state, task.steps["analyze_csv"].attempts]
    assert_match "/none.csv: No such file", task.steps["analyze_csv"].error["message"]
    { { csv_path: 3, batch_size: 3 } => "csv_path is 3, not a path",
      { csv_path: "x", batch_size: 0 } => "batch_size is 0, not" }.each do |context, message|
      assert_match message, failure_of(inventory(**context).steps["analyze_csv"])
    end
  end
end
