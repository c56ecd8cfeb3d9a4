package trilemma.workspaces_test

import data.trilemma.workspaces

_opening(workspace) := {"act": "workspace", "workspace": workspace}

test_a_known_folder_opens if {
	every mode in ["layer", "direct", "snapshot"] {
		workspaces.ok with input as _opening({"known": true, "mode": mode})
	}
}

test_an_unknown_folder_does_not if {
	every known in [false, null, "true", 1] {
		facts := _opening({"known": known, "mode": "layer"})
		not workspaces.ok with input as facts
		workspaces.reasons == {"unknown_workspace"} with input as facts
	}
}

test_no_other_mode_exists if {
	not workspaces.ok with input as _opening({"known": true, "mode": "both"})
}

test_other_acts_are_not_judged_here if {
	workspaces.ok with input as {"act": "tool"}
}
