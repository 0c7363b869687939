# awk -f same.awk en/*.md bn/*.md: fails unless every page is there in both languages with the same code, output, display
# formulas, pictures, decimal numbers and set-right statements, and unless each statement E1 ... E32 (there is no E26) is
# set right in exactly one chapter.
BEGIN { split("০ ১ ২ ৩ ৪ ৫ ৬ ৭ ৮ ৯", bengali, " ") }
function complain(text) { print text; wrong = 1 }

FNR == 1 {
  n = split(FILENAME, part, "/"); page = part[n]; language = part[n - 1]
  pages[page]; have[language, page] = 1; code = formula = 0
}
/^```/ { code = !code }
code || /^```/ { blocks[language, page] = blocks[language, page] $0 "\n"; next }
/^\$\$$/ { formula = !formula }
formula || /^\$\$$/ { formulas[language, page] = formulas[language, page] $0 "\n"; next }
{
  line = $0
  while (match(line, /\]\([^)]*\.(png|svg)\)/)) {
    pictures[language, page] = pictures[language, page] substr(line, RSTART + 2, RLENGTH - 3) "\n"
    line = substr(line, RSTART + RLENGTH)
  }
  line = $0
  for (digit = 0; digit < 10; ++digit) gsub(bengali[digit + 1], digit, line)
  while (match(line, /[0-9]+\.[0-9]+/)) {
    number = substr(line, RSTART, RLENGTH)
    numbers[number]; ++count[language, page, number]
    line = substr(line, RSTART + RLENGTH)
  }
}
/^\*\*E[0-9]+ / {
  split($1, part, "E"); label = part[2] + 0
  statements[language, page] = statements[language, page] label "\n"
  if (language == "en") { ++found[label]; where[label] = where[label] " " page }
}

END {
  for (page in pages) {
    if (!have["en", page] || !have["bn", page]) { complain(page ": missing in one language"); continue }
    if (blocks["en", page] != blocks["bn", page]) complain(page ": blocks of code or output differ")
    if (formulas["en", page] != formulas["bn", page]) complain(page ": formulas differ")
    if (pictures["en", page] != pictures["bn", page]) complain(page ": pictures differ")
    if (statements["en", page] != statements["bn", page]) complain(page ": statements set right differ")
    for (number in numbers)
      if (count["en", page, number] + 0 != count["bn", page, number] + 0)
        complain(page ": " number " stands " count["en", page, number] + 0 " times in English, " \
                 count["bn", page, number] + 0 " times in Bengali")
  }
  for (label = 1; label <= 32; ++label)
    if (found[label] + 0 != (label != 26))
      complain("E" label ": set right in" (label in where ? where[label] : " no chapter"))
  exit wrong
}
