# frozen_string_literal: true

require_relative "lib/stepmark/version"

# A gem with the native library of the Ruby that builds it: `make bindings`, then `gem build`.
Gem::Specification.new do |spec|
  minor = RUBY_VERSION[/\d+\.\d+/]
  library = "lib/stepmark/prebuilds/#{minor}/libstepmark_ruby.so"
  unless File.file?(File.join(__dir__, library))
    raise "#{library} is not there: build it with `make bindings`"
  end

  spec.name = "stepmark"
  spec.version = Stepmark::VERSION
  spec.summary = "Workers for the workflow engine stepmark"
  spec.description = "Handlers in Ruby over the worker core of the workflow engine stepmark."
  spec.authors = ["stepmark"]
  spec.licenses = ["MIT", "Apache-2.0"]
  spec.platform = Gem::Platform.local
  spec.required_ruby_version = "~> #{minor}.0"
  spec.files = Dir.chdir(__dir__) { Dir["lib/**/*.rb", "README.md"] } + [library]
end
