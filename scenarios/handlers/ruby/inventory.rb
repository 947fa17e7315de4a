# frozen_string_literal: true

require_relative "decimal"

module Handlers
  # What is known of some rows of products.
  #
  # @!attribute value
  #   @return [Decimal] Σ price × stock
  # @!attribute dearest
  #   @return [Product, nil] of several that are as dear, the one with the lowest id
  Inventory = Struct.new(:rows, :value, :categories, :dearest, :rating_sum) do
    # Of no rows.
    def self.none
      new(0, Decimal::ZERO, {}, nil, Decimal::ZERO)
    end

    # Of one row, texts by their columns.
    # @raise [Decimal::Invalid, ArgumentError, KeyError] it isn't one of a product
    def self.of_row(row)
      id, title, category, price, rating, stock =
        row.fetch_values("id", "title", "category", "price", "rating", "stock")
      product = self::Product.new(count(id), title, Decimal.parse(price))
      new(1, product.price * count(stock), { category => 1 }, product, Decimal.parse(rating))
    end

    def self.count(text)
      raise ArgumentError, "#{text.inspect} is no count" unless text.match?(/\A\d+\z/)

      Integer(text, 10)
    end

    # Takes another's rows to these. Sums have two decimal places or more.
    # @return [self]
    def add(other)
      self.rows += other.rows
      self.value = (value + other.value).padded(2)
      other.categories.each { |name, count| categories[name] = categories.fetch(name, 0) + count }
      dear = [dearest, other.dearest].compact
      self.dearest = dear.max_by { |product| [product.price, -product.id] }
      self.rating_sum = (rating_sum + other.rating_sum).padded(2)
      self
    end

    # @return [Decimal, nil] rounded half up; none of no rows
    def rating_mean
      rating_sum.divided(rows, 4) unless rows.zero?
    end

    # @return [Hash] as it stands in JSON: decimals are texts
    def self.written(inventory)
      { rows: inventory.rows, inventory_value: inventory.value.to_s,
        products_by_category: inventory.categories.sort_by { |name, _| name.b }.to_h,
        dearest: inventory.dearest && { **inventory.dearest.to_h,
                                        price: inventory.dearest.price.to_s },
        rating_sum: inventory.rating_sum.to_s }
    end

    # @return [Hash] of all rows
    def self.written_total(inventory)
      total = inventory.add(none) # no parts have no decimal places yet
      { **written(total), rating_mean: total.rating_mean&.to_s }
    end

    # @return [Inventory] from JSON
    def self.read(part)
      dearest = part["dearest"]
      dearest &&= self::Product.new(dearest["id"], dearest["title"],
                                    Decimal.parse(dearest["price"]))
      new(part["rows"], Decimal.parse(part["inventory_value"]), part["products_by_category"],
          dearest, Decimal.parse(part["rating_sum"]))
    end
  end

  # A product and what it costs.
  Inventory::Product = Struct.new(:id, :title, :price)
end
