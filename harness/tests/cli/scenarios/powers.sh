# An oracle for the linear workflow: {"even_number":6} on a line, the right answer on a line.
while IFS= read -r line; do
    number=${line#*:}
    number=${number%\}}
    steps=
    for step in 1 2 3 4; do
        number=$((number * number))
        steps="$steps, \"linear_step_$step\": {\"state\": \"Complete\", \"result\": {\"value\": \"$number\"}}"
    done
    echo "{\"task_state\": \"Complete\", \"steps\": {${steps#, }}}"
done
