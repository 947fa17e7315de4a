# frozen_string_literal: true

require_relative "support"
require "fileutils"
require "rubygems/package"

# The gem as its users get it.
class PackageTest < Minitest::Test
  PACKAGE = File.expand_path("..", __dir__)
  EXAMPLE = File.join(PACKAGE, "examples/greet.rb")

  # Output of a command that has to succeed, in an environment that knows only this gem.
  def run_alone(home, *command, **options)
    environment = { "GEM_HOME" => home, "GEM_PATH" => home, "STEPMARK_NATIVE" => nil,
                    "RUBYLIB" => nil, "RUBYOPT" => nil }
    output = IO.popen(environment, [*command, { err: %i[child out], **options }], &:read)
    assert_predicate $?, :success?, output
    output
  end

  def test_the_gem_is_built_installed_and_runs_the_example
    Dir.mktmpdir do |folder|
      source, home = File.join(folder, "source"), File.join(folder, "home")
      FileUtils.mkdir(source)
      FileUtils.cp_r(%w[lib README.md stepmark.gemspec].map { |it| File.join(PACKAGE, it) }, source)
      prebuilt = File.join(source, "lib/stepmark/prebuilds", RUBY_VERSION[/\d+\.\d+/])
      FileUtils.rm_rf(prebuilt)
      FileUtils.mkdir_p(prebuilt)
      FileUtils.cp(ENV.fetch("STEPMARK_NATIVE"), File.join(prebuilt, "libstepmark_ruby.so"))
      gem = File.join(folder, "stepmark.gem")
      ruby = RbConfig.ruby
      run_alone(home, ruby, "-S", "gem", "build", "stepmark.gemspec", "-o", gem, chdir: source)
      FileUtils.rm_rf(source)
      assert_equal Gem::Platform.local, Gem::Package.new(gem).spec.platform
      run_alone(home, ruby, "-S", "gem", "install", "--local", "--no-document", gem)
      listed = run_alone(home, ruby, EXAMPLE, "--list-handlers", chdir: folder)
      assert_equal "examples/greet\nexamples/shout\n", listed
    end
  end

  def test_the_readme_shows_the_example_as_it_is
    shown = File.read(File.join(PACKAGE, "README.md"))[/^```ruby\n(.*?)^```/m, 1]
    assert_equal File.read(EXAMPLE), shown
    assert_operator shown.lines.size, :<, 30
  end

  def test_without_its_library_it_says_how_to_build_it
    output = IO.popen([{ "STEPMARK_NATIVE" => "/none.so" }, RbConfig.ruby, "-I",
                       File.join(PACKAGE, "lib"), EXAMPLE, { err: %i[child out] }], &:read)
    refute_predicate $?, :success?
    assert_match "stepmark's native library is not there: /none.so; build it with `make bindings`",
                 output
  end
end
