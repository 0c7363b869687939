# awk -v page=NAME -v root=FOLDER -v given="HEADER ...": turns pages into a test. Without `page` each is named after its
# file, without `given` blocks take names.hpp and surroundings.hpp for granted. Every ```cpp block becomes a test that runs
# it, with what a ```text block behind it says as the expected output; a block ```cpp FILE has to stand in that file below
# root, which tests of its own run; every call in the last column of a
# table of names becomes an entry of samplers() or grids(), and every call in the list of samplers that need a start
# with signal one of need_signal(), every row of the table of families one of families().
function quoted(text) { gsub(/\\/, "\\\\", text); gsub(/"/, "\\\"", text); return "\"" text "\"" }

FNR == 1 { after_block = 0; section = title = ""; n = split(FILENAME, part, "/"); stem = part[n]; sub(/\.md$/, "", stem) }
/^```cpp ./ { in_quote = $2; quote = ""; quote_at = NR; next }
/^```/ && in_quote {
  file = ""
  while ((getline line < (root "/" in_quote)) > 0) file = file line "\n"
  close(root "/" in_quote)
  if (!index(file, quote)) wrong = wrong "#error \"" page ", line " quote_at ": not in " in_quote "\"\n"
  in_quote = ""; next
}
in_quote { quote = quote $0 "\n"; next }
/^```cpp/ { in_block = 1; ++blocks; start[blocks] = FNR + 1; test[blocks] = page == "" ? "page_" stem : page; next }
/^```text/ && after_block { in_output = 1; prints[blocks] = 1; next }
/^```/ { after_block = in_block; in_block = in_output = 0; next }
in_output { output[blocks] = output[blocks] "\n      " quoted($0 "\\n"); next }
in_block && /^#include/ { if (!($0 in seen)) { seen[$0] = 1; includes = includes $0 "\n" }; next }
in_block { code[blocks] = code[blocks] $0 "\n"; next }
NF { after_block = 0 }

/^## / { section = $0 }
section == "## Samplers by name" && /\| `[^`]*` \|$/ { sub(/ \|$/, ""); n = split($0, cell, "`")
  samplers = samplers entry("program", cell[n - 1]) }
section == "## Grids by name" && /\| `[^`]*` \|$/ { sub(/ \|$/, ""); n = split($0, cell, "`")
  grids = grids entry("grid", cell[n - 1]) }
section == "## Starting from pure noise" && /^- / { n = split($0, cell, "`")
  for (i = 2; i <= n; i += 2) signal = signal "    " quoted(cell[i]) ",\n" }
/^# / { title = $0 }
title == "# Families of networks" && /^\|.*\|$/ && NF && !/^\|-/ && !/^\| family/ {
  n = split($0, cell, " [|] ")
  name = cell[1]; sub(/^\| /, "", name); sub(/ \|$/, "", cell[5])
  gsub(/`/, "", cell[2]); gsub(/`/, "", cell[4])
  rows = rows "    {" quoted(name) ",\n     " cell[2] ",\n     " cell[4] ",\n     " cell[5] "},\n" }
function entry(type, call) {
  return "    {" quoted(call) ", [] { return " type "(" call "); }},\n"
}

END {
  n = split(given == "" ? "readme/names.hpp readme/surroundings.hpp" : given, header, " ")
  for (i = 1; i <= n; ++i) includes = includes "#include \"" header[i] "\"\n"
  print wrong includes
  print "namespace readme {\n"
  if (samplers)
    printf "using namespace tweedie;\n\nstd::vector<named<program>> samplers() {\n  using namespace given;\n  return {\n%s  };\n}\n\n", samplers
  if (grids)
    printf "std::vector<named<grid>> grids() {\n  using namespace given;\n  return {\n%s  };\n}\n\n", grids
  if (signal)
    printf "std::vector<std::string> need_signal() {\n  return {\n%s  };\n}\n\n", signal
  if (rows)
    printf "std::vector<family> families() {\n  using namespace tweedie;\n  return {\n%s  };\n}\n\n", rows
  for (b = 1; b <= blocks; ++b) {
    printf "TEST(%s, block_at_line_%d_runs) {\n", test[b], start[b]
    if (prints[b]) print "  testing::internal::CaptureStdout();"
    printf "%s", code[b]
    if (prints[b]) printf "std::fflush(stdout);\nEXPECT_EQ(testing::internal::GetCapturedStdout(),%s);\n", output[b]
    print "}\n"
  }
  print "}  // namespace readme"
}
