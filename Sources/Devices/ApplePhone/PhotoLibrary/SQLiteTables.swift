import BackupCore

/// Reads rows of tables out of an SQLite file of a stranger, page by page, without SQLite.
///
/// What is asked of the file is little (whole numbers of one table), and the file is the phone's:
/// so it is walked here, in memory-safe code with every number checked, a bounded cache and no
/// file on the box, rather than opened by a library that runs what the file says (views, triggers,
/// a schema). See https://www.sqlite.org/fileformat2.html, sections 1 to 2.1 (tables only).
///
/// What a write-ahead log holds besides is seen when the log is given.
struct SQLiteTables {
    /// The file is no such database, or its parts do not fit together.
    struct Damaged: Error {}

    /// Gives `count` bytes from `offset`; fewer only at the file's end.
    typealias Source = (_ offset: UInt64, _ count: Int) throws(DeviceError) -> [UInt8]

    /// Levels of a table's tree; a table of 2^31 pages has fewer.
    private static let deepest = 24
    /// Bytes of one row that are read: what is beyond is not asked for.
    private static let longestRow = 1 << 20

    private var pages: SQLitePages
    private let usable: Int
    /// Cells may overlap, so that a small file can have more rows than anybody waits for.
    private var rowsLeft = 32 << 20

    /// `log` is the content of the write-ahead log beside the file.
    init(_ source: @escaping Source, log: [UInt8] = []) throws {
        let header = try source(0, 100)
        guard header.count == 100, header.starts(with: Array("SQLite format 3\0".utf8)) else {
            throw Damaged()
        }
        let size = Int(header[16]) << 8 | Int(header[17])
        let pageSize = size == 1 ? 65_536 : size
        guard (512...65_536).contains(pageSize), pageSize & (pageSize - 1) == 0,
            pageSize - Int(header[20]) >= 480
        else { throw Damaged() }
        // Tables in UTF-16 would need their names decoded; the phone's are in UTF-8.
        guard header[56...59].elementsEqual([0, 0, 0, 1]) else { throw Damaged() }
        usable = pageSize - Int(header[20])
        pages = SQLitePages(
            source: source, pageSize: pageSize, log: SQLiteLog(log, pageSize: pageSize))
    }

    /// Calls `body` with the whole numbers of `columns` for each row of `table`, nil for what is
    /// no whole number. Throws `Damaged` when there is no such table or column.
    mutating func forEachRow(
        of table: String, _ columns: [String], _ body: ([Int64?]) throws -> Void
    ) throws {
        guard let found = try schema(of: table) else { throw Damaged() }
        let names = Self.columnNames(found.sql)
        let wanted = try columns.map { column -> Int in
            guard let place = names.firstIndex(of: column.uppercased()) else { throw Damaged() }
            return place
        }
        let last = wanted.max() ?? 0
        try walk(found.root) { _, payload in
            let values = try Self.values(payload, upTo: last)
            try body(
                wanted.map { place in
                    guard place < values.count, case .integer(let value) = values[place] else {
                        return nil
                    }
                    return value
                })
        }
    }

    private mutating func schema(of table: String) throws -> (root: UInt32, sql: String)? {
        var found: (root: UInt32, sql: String)?
        try walk(1) { _, payload in
            let values = try Self.values(payload, upTo: 4)
            guard values.count == 5, case .text(let type) = values[0], type == "table",
                case .text(let name) = values[1], name == table,
                case .integer(let root) = values[3], let root = UInt32(exactly: root),
                case .text(let sql) = values[4]
            else { return }
            found = (root, sql)
        }
        return found
    }

    // MARK: - The tree

    /// Calls `body` with each row's number and content, in order.
    private mutating func walk(
        _ root: UInt32, _ body: (_ row: Int64, _ payload: [UInt8]) throws -> Void
    ) throws {
        var visited = 0
        var waiting: [(page: UInt32, depth: Int)] = [(root, 0)]
        while let (number, depth) = waiting.popLast() {
            visited += 1
            // More pages than a file can have are pages that point at one another.
            guard depth < Self.deepest, visited <= SQLitePages.most else { throw Damaged() }
            let page = try pages.page(number)
            let start = number == 1 ? 100 : 0
            let isLeaf = page[start] == 0x0D
            guard isLeaf || page[start] == 0x05 else { throw Damaged() }
            let cells = try Self.cells(page, start: start, headerLength: isLeaf ? 8 : 12)
            if isLeaf {
                rowsLeft -= cells.count
                guard rowsLeft >= 0 else { throw Damaged() }
                for cell in cells { try leaf(page, cell, body) }
            } else {
                let children = try cells.map { try Self.unsigned32(page, $0) }
                let rightmost = try Self.unsigned32(page, start + 8)
                waiting += (children + [rightmost]).reversed().map { ($0, depth + 1) }
                guard waiting.count <= SQLitePages.most else { throw Damaged() }
            }
        }
    }

    private mutating func leaf(
        _ page: [UInt8], _ cell: Int, _ body: (Int64, [UInt8]) throws -> Void
    ) throws {
        var position = cell
        let length = try Self.varint(page, &position)
        let row = try Self.varint(page, &position)
        guard length >= 0, let total = Int(exactly: length) else { throw Damaged() }
        let local = localLength(total)
        guard position <= page.count, local <= page.count - position else { throw Damaged() }
        var payload = Array(page[position..<(position + local)])
        if local < total {
            var next = try Self.unsigned32(page, position + local)
            let wanted = min(total, Self.longestRow)
            while next != 0, payload.count < wanted {
                let overflow = try pages.page(next)
                next = try Self.unsigned32(overflow, 0)
                payload += overflow[4..<min(usable, 4 + wanted - payload.count)]
            }
        }
        try body(row, payload)
    }

    /// How much of a row lies in its own page (file format, section 1.6).
    private func localLength(_ total: Int) -> Int {
        let most = usable - 35
        guard total > most else { return total }
        let least = (usable - 12) * 32 / 255 - 23
        let fitting = least + (total - least) % (usable - 4)
        return fitting <= most ? fitting : least
    }

    private static func cells(
        _ page: [UInt8], start: Int, headerLength: Int
    ) throws -> [Int] {
        let count = Int(page[start + 3]) << 8 | Int(page[start + 4])
        let first = start + headerLength
        guard first + 2 * count <= page.count else { throw Damaged() }
        return (0..<count).map { Int(page[first + 2 * $0]) << 8 | Int(page[first + 2 * $0 + 1]) }
    }

    // MARK: - Rows

    private enum Value {
        case null
        case integer(Int64)
        case text(String)
        case other
    }

    /// The values of a row's columns up to number `last`, as far as the row's bytes are here.
    private static func values(_ row: [UInt8], upTo last: Int) throws -> [Value] {
        var position = 0
        let headerEnd = try varint(row, &position)
        guard headerEnd >= 0, headerEnd <= row.count else { throw Damaged() }
        var place = Int(headerEnd)
        var values: [Value] = []
        while position < Int(headerEnd), values.count <= last {
            let type = try varint(row, &position)
            guard type >= 0 else { throw Damaged() }
            let length = length(of: type)
            guard length <= row.count - place else { break }
            values.append(value(type, row[place..<(place + length)]))
            place += length
        }
        return values
    }

    private static func length(of type: Int64) -> Int {
        switch type {
        case 0, 8, 9: 0
        case 1...4: Int(type)
        case 5: 6
        case 6, 7: 8
        case 12...: Int(clamping: (type - 12) / 2)
        default: 0
        }
    }

    private static func value(_ type: Int64, _ bytes: ArraySlice<UInt8>) -> Value {
        switch type {
        case 0: return .null
        case 8, 9: return .integer(type - 8)
        case 1...6:
            let isNegative = (bytes.first ?? 0) & 0x80 != 0
            let start: UInt64 = isNegative ? .max : 0
            return .integer(Int64(bitPattern: bytes.reduce(start) { $0 << 8 | UInt64($1) }))
        case 13... where type % 2 == 1: return .text(String(decoding: bytes, as: UTF8.self))
        default: return .other
        }
    }

    /// The names of a table's columns in upper case, in order, out of the statement that made it.
    static func columnNames(_ sql: String) -> [String] {
        guard let open = sql.firstIndex(of: "(") else { return [] }
        var names: [String] = []
        var depth = 0
        var part = ""
        func end() {
            let words = part.split { $0.isWhitespace || $0 == "(" }
            let name = words.first.map { $0.filter { !"\"'`[]".contains($0) }.uppercased() } ?? ""
            let isRule = ["PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "CONSTRAINT"].contains(name)
            if !isRule, !name.isEmpty { names.append(name) }
            part = ""
        }
        for character in sql[sql.index(after: open)...] {
            switch character {
            case ",": if depth == 0 { end() } else { part.append(character) }
            case ")" where depth == 0:
                end()
                return names
            default:
                if character == "(" { depth += 1 } else if character == ")" { depth -= 1 }
                part.append(character)
            }
        }
        return names
    }

    // MARK: - Numbers

    /// 1 to 9 bytes, seven bits each, big endian; the ninth has eight.
    private static func varint(_ bytes: [UInt8], _ position: inout Int) throws -> Int64 {
        var value: UInt64 = 0
        for index in 0..<9 {
            guard bytes.indices.contains(position) else { throw Damaged() }
            let byte = bytes[position]
            position += 1
            if index == 8 { return Int64(bitPattern: value << 8 | UInt64(byte)) }
            value = value << 7 | UInt64(byte & 0x7F)
            if byte & 0x80 == 0 { break }
        }
        return Int64(bitPattern: value)
    }

    private static func unsigned32(_ bytes: [UInt8], _ position: Int) throws -> UInt32 {
        guard position >= 0, position + 4 <= bytes.count else { throw Damaged() }
        return bytes[position..<(position + 4)].reduce(0) { $0 << 8 | UInt32($1) }
    }
}

/// The pages of a database, read in blocks: a table's pages mostly lie side by side, and each read
/// is a round trip to the phone.
struct SQLitePages {
    /// Pages that are read of one file at most, however it is made.
    static let most = 1 << 20
    /// Bytes of pages that are looked at: chains of pages can be walked again and again.
    private var bytesLeft: UInt64 = 4 << 30
    private static let blockLength = 256 << 10
    private static let blocksKept = 32

    let source: SQLiteTables.Source
    let pageSize: Int
    private let log: SQLiteLog
    private var blocks: [UInt64: [UInt8]] = [:]
    /// Block numbers, the one used last at the end.
    private var order: [UInt64] = []

    init(source: @escaping SQLiteTables.Source, pageSize: Int, log: SQLiteLog) {
        self.source = source
        self.pageSize = pageSize
        self.log = log
    }

    /// The bytes of a page; the first page has number 1.
    mutating func page(_ number: UInt32) throws -> [UInt8] {
        guard number > 0, bytesLeft >= UInt64(pageSize) else { throw SQLiteTables.Damaged() }
        bytesLeft -= UInt64(pageSize)
        if let page = log.page(number) { return page }
        let offset = UInt64(number - 1) * UInt64(pageSize)
        let index = offset / UInt64(Self.blockLength)
        let block = try block(index)
        let start = Int(offset - index * UInt64(Self.blockLength))
        guard start + pageSize <= block.count else { throw SQLiteTables.Damaged() }
        return Array(block[start..<(start + pageSize)])
    }

    private mutating func block(_ index: UInt64) throws -> [UInt8] {
        if order.last == index, let block = blocks[index] { return block }
        order.removeAll { $0 == index }
        order.append(index)
        if let block = blocks[index] { return block }
        let block = try source(index * UInt64(Self.blockLength), Self.blockLength)
        blocks[index] = block
        if order.count > Self.blocksKept { blocks[order.removeFirst()] = nil }
        return block
    }
}
