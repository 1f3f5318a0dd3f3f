import CQRencode

/// A QR code as rows of dark and light squares. This is the only file that knows libqrencode.
struct QRCode: Sendable {
    /// Rows of squares, `true` where dark; as many rows as columns, without the quiet zone.
    let squares: [[Bool]]

    /// Squares along one side.
    var side: Int { squares.count }

    /// The code of `text`'s bytes, as small as it gets with a quarter of it allowed to be lost
    /// (level Q: sheets are folded and stained). nil when the text is empty or too long for one.
    init?(_ text: String) {
        // Sound: the text is lent NUL-terminated for the call; the code that comes back is ours,
        // copied and freed here, and holds width times width bytes.
        guard let code = unsafe QRcode_encodeString8bit(text, 0, QR_ECLEVEL_Q) else { return nil }
        defer { unsafe QRcode_free(code) }
        let side = Int(unsafe code.pointee.width)
        let bytes = unsafe UnsafeBufferPointer(start: code.pointee.data, count: side * side)
        // The lowest bit of each byte is the colour, the others tell what the square is for.
        squares = (0..<side).map { row in
            (0..<side).map { column in unsafe bytes[row * side + column] & 1 == 1 }
        }
    }

    /// Light squares that a reader needs around the code (ISO/IEC 18004).
    private static let quietZone = 4

    /// The code as SVG with its quiet zone, `class="qr"`; its size is for a style sheet to say.
    var svg: String {
        var path = ""
        for (row, line) in squares.enumerated() {
            for (column, isDark) in line.enumerated() where isDark {
                path += "M\(column + Self.quietZone) \(row + Self.quietZone)h1v1h-1z"
            }
        }
        let whole = side + 2 * Self.quietZone
        return """
            <svg class="qr" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(whole) \(whole)" \
            shape-rendering="crispEdges" role="img" aria-label="The words as a QR code">\
            <path fill="#fff" d="M0 0h\(whole)v\(whole)H0z"/><path d="\(path)"/></svg>
            """
    }

    /// The code in half blocks, two rows a line, for a terminal of either colour: black on white
    /// by escape codes of its own. Half the quiet zone is enough for a camera.
    var terminalText: String {
        let zone = Self.quietZone / 2
        func isDark(_ row: Int, _ column: Int) -> Bool {
            (0..<side).contains(row) && (0..<side).contains(column) && squares[row][column]
        }
        return stride(from: -zone, to: side + zone, by: 2).map { row in
            let line = (-zone..<side + zone).map { column in
                switch (isDark(row, column), isDark(row + 1, column)) {
                case (true, true): "█"
                case (true, false): "▀"
                case (false, true): "▄"
                case (false, false): " "
                }
            }.joined()
            return "\u{1b}[30;107m\(line)\u{1b}[0m"
        }.joined(separator: "\n")
    }
}
