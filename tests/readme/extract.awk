# Turns README.md into a test: every ```cpp block becomes a test that runs it, every call in the last
# column of a table of names becomes an entry of samplers() or grids().
function quoted(text) { gsub(/\\/, "\\\\", text); gsub(/"/, "\\\"", text); return "\"" text "\"" }

/^```cpp/ { in_block = 1; ++blocks; start[blocks] = NR + 1; next }
/^```/ { in_block = 0; next }
in_block && /^#include/ { if (!($0 in seen)) { seen[$0] = 1; includes = includes $0 "\n" }; next }
in_block { code[blocks] = code[blocks] $0 "\n"; next }

/^## / { section = $0 }
section == "## Samplers by name" && /\| `[^`]*` \|$/ { sub(/ \|$/, ""); n = split($0, cell, "`")
  samplers = samplers entry("program", cell[n - 1]) }
section == "## Grids by name" && /\| `[^`]*` \|$/ { sub(/ \|$/, ""); n = split($0, cell, "`")
  grids = grids entry("grid", cell[n - 1]) }
function entry(type, call) {
  return "    {" quoted(call) ", [] { return " type "(" call "); }},\n"
}

END {
  printf "%s#include \"readme/names.hpp\"\n#include \"readme/surroundings.hpp\"\n\n", includes
  print "namespace readme {\n\nusing namespace tweedie;\n"
  printf "std::vector<named<program>> samplers() {\n  using namespace given;\n  return {\n%s  };\n}\n\n", samplers
  printf "std::vector<named<grid>> grids() {\n  using namespace given;\n  return {\n%s  };\n}\n\n", grids
  for (b = 1; b <= blocks; ++b)
    printf "TEST(readme, block_at_line_%d_runs) {\n%s}\n\n", start[b], code[b]
  print "}  // namespace readme"
}
