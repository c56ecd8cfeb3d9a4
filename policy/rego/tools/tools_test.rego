package trilemma.tools_test

import data.trilemma.tools

test_a_declared_tool_runs if {
	tools.ok with input as {"act": "tool", "tool": {"declared": true}}
}

test_an_undeclared_tool_does_not if {
	every tool in [{"declared": false}, {"declared": "true"}, {"declared": null}, {}, null] {
		not tools.ok with input as {"act": "tool", "tool": tool}
		tools.reasons == {"undeclared_tool"} with input as {"act": "tool", "tool": tool}
	}
}

test_other_acts_are_not_judged_here if {
	tools.ok with input as {"act": "model"}
}
