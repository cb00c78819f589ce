# Makes an animated SVG of what script(1) recorded. Input: its timing file, a line for each piece of
# output, `seconds bytes`. -v text=FILE has the bytes, -v columns and -v rows the terminal's size.
# It is ASCII; bytes beyond are an error, and so is a sequence that is not known here.

BEGIN {
  RS = "\001"
  if ((getline all < text) < 0) fail("cannot read " text)
  RS = "\n"
  at = 1
  row = column = bold = 0
}

{
  now += $1
  feed(substr(all, at, $2))
  at += $2
  picture = page()
  if (picture == shown) next
  # A redraw may come in pieces; what stood for less than 20 ms nobody saw.
  if (count && now - from[count] < 0.02) count--
  from[++count] = now
  pictures[count] = shown = picture
}

END {
  if (failed) exit 1
  if (!count) fail("nothing was to be seen")
  draw(now - from[1] + 3)
}

function fail(why) {
  print "record: " why > "/dev/stderr"
  failed = 1
  exit 1
}

function feed(piece,   letter, sequence) {
  while (piece != "") {
    letter = substr(piece, 1, 1)
    if (letter == "\r") column = 0
    else if (letter == "\n") newline()
    else if (letter == "\033") {
      if (!match(piece, /^\033\[[0-9;]*[A-Za-z]/)) fail("a sequence that is not known")
      sequence = substr(piece, 3, RLENGTH - 2)
      piece = substr(piece, RLENGTH + 1)
      obey(sequence)
      continue
    } else if (letter ~ /[ -~]/) {
      cells[row, column] = letter
      bolds[row, column++] = bold
      if (column > columns) fail("a line is wider than the terminal")
    } else fail("a letter that is not known")
    piece = substr(piece, 2)
  }
}

function newline(   to, x) {
  if (++row < rows) return
  for (to = 0; to < rows; to++) for (x = 0; x < columns; x++) {
    cells[to, x] = cells[to + 1, x]
    bolds[to, x] = bolds[to + 1, x]
  }
  row = rows - 1
}

function clear(y, x) {
  for (; x < columns; x++) delete cells[y, x]
}

function obey(sequence,   y) {
  if (sequence == "0m" || sequence == "m") bold = 0
  else if (sequence == "1m") bold = 1
  else if (sequence == "K") clear(row, column)
  else if (sequence == "J") {
    clear(row, column)
    for (y = row + 1; y < rows; y++) clear(y, 0)
  } else if (sequence ~ /^[0-9]+A$/) row = row > sequence + 0 ? row - sequence : 0
  else fail("the sequence " sequence " is not known")
}

# What is to be seen, as elements of text.
function page(   y, x, letter, line, is_bold, lines) {
  for (y = 0; y < rows; y++) {
    line = ""
    is_bold = 0
    for (x = 0; x < columns; x++) {
      letter = (y, x) in cells && cells[y, x] != "" ? cells[y, x] : " "
      if (letter != " ") is_bold = bolds[y, x]
      line = line letter
    }
    sub(/ +$/, "", line)
    if (line == "") continue
    gsub(/&/, "\\&amp;", line)
    gsub(/</, "\\&lt;", line)
    lines = lines sprintf("<text x=\"16\" y=\"%d\"%s>%s</text>\n", 32 + y * 20,
      is_bold ? " class=\"b\"" : "", line)
  }
  return lines
}

function draw(seconds,   n, start, end) {
  printf "<svg xmlns=\"http://www.w3.org/2000/svg\" xml:space=\"preserve\" "
  printf "viewBox=\"0 0 %d %d\" width=\"%d\">\n",
    columns * 8.43 + 32, rows * 20 + 28, columns * 8.43 + 32
  print "<style>"
  print "rect{fill:#16181d}text{fill:#d8dee9;font:14px monospace;white-space:pre}"
  print ".b{font-weight:bold;fill:#fff}.f{visibility:hidden}"
  printf "@media (prefers-reduced-motion:reduce){.f{animation:none!important}"
  printf "#f%d{visibility:visible}}\n", count
  for (n = 1; n <= count; n++) {
    start = (from[n] - from[1]) / seconds * 100
    end = n < count ? (from[n + 1] - from[1]) / seconds * 100 : 100
    printf "@keyframes k%d{0%%{visibility:%s}", n, n == 1 ? "visible" : "hidden"
    if (n > 1) printf "%.2f%%{visibility:visible}", start
    if (n < count) printf "%.2f%%,100%%{visibility:hidden}", end
    else printf "100%%{visibility:visible}"
    printf "}#f%d{animation:k%d %.2fs step-end infinite}\n", n, n, seconds
  }
  print "</style>\n<rect width=\"100%\" height=\"100%\" rx=\"8\"/>"
  for (n = 1; n <= count; n++) printf "<g id=\"f%d\" class=\"f\">\n%s</g>\n", n, pictures[n]
  print "</svg>"
}
