# A worker of one's own; its template is engine/examples/greet.yaml.
require "stepmark"

worker = Stepmark::Worker.new

worker.handler("examples", "greet") do |step|
  name = step.context["name"] or raise Stepmark::Fail, "context needs a name"
  { text: "Hello, #{name}!" }
end

worker.handler("examples", "shout") do |step|
  { text: step.parent_results["greet"]["text"].upcase }
end

worker.run
