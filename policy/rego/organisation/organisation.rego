# METADATA
# title: Organisation
# description: |
#   Where an organisation adds refusals of its own. Its files say `package organisation` and
#   `deny contains "some_code" if ...`; they can forbid more, never permit more.
package organisation

# METADATA
# title: Refusals
# description: A set of codes, empty here. A file that makes it anything else is refused.
deny contains "nothing" if false
