# frozen_string_literal: true

require_relative "support"

# Every answer of the scenarios is the one that the handlers in Rust have to give.
class ScenariosTest < HandlersTest
  { "tier1/linear_rust" => "ruby_e2e_linear", "tier1/diamond_rust" => "ruby_e2e_diamond",
    "tier2/complex_dag_rust" => "ruby_e2e_mixed_dag",
    "tier2/hierarchical_tree_rust" => "ruby_e2e_tree",
    "tier2/conditional_rust" => "conditional_approval_ruby",
    "tier5/batch_csv_1000" => "csv_processing_ruby" }.each do |scenario, namespace|
    define_method("test_#{scenario}") do
      assert_right scenario, namespace: namespace
    end
  end

  def test_a_workflow_of_one_s_own_is_found_by_its_presence
    Dir.mktmpdir do |root|
      folder = File.join(root, "scenarios/handlers/ruby")
      FileUtils.mkdir_p(File.dirname(folder))
      FileUtils.cp_r(File.join(ROOT, "scenarios/handlers/ruby"), folder)
      File.symlink(File.join(ROOT, "engine"), File.join(root, "engine"))
      readme = File.read(File.join(folder, "own/README.md"))
      FileUtils.rm(Dir[File.join(folder, "own/*.rb")])
      File.write(File.join(folder, "own/demo.rb"), readme[/^```ruby\n(.*?)^```/m, 1])
      listed = IO.popen([RbConfig.ruby, File.join(folder, "worker.rb"), "--list-handlers"], &:read)
      assert_includes listed.lines, "demo_ruby/double\n"
    end
  end

  def test_no_namespace_of_ours_is_left_out
    templates = Dir[File.join(TEMPLATES, "*_ruby.yaml")]
    of_templates = templates.map { |path| File.read(path)[/^namespace: (\S+)/, 1] }.uniq
    assert_operator of_templates.size, :>=, 6
    assert_empty of_templates - WORKER.handlers.keys.map(&:first)
  end
end
