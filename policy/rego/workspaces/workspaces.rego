# METADATA
# title: Workspaces
# description: A folder opens only where the ledger knows who wrote to it, in a mode that exists.
package trilemma.workspaces

default ok := false

# METADATA
# title: Whether the folder may open
ok if {
	input.act != "workspace"
} else if {
	input.workspace.known == true
	input.workspace.mode in {"layer", "direct", "snapshot"}
}

# METADATA
# title: Why it may not
reasons contains "unknown_workspace" if not ok
