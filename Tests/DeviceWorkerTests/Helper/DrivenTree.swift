import BackupCore
import Glibc

/// What the scripted lane does with a tree, as a phone that drives would.
enum DrivenTree {
    private static let root = EntryPath(["Backup", "x"])

    static func drive(_ job: PushedJob, _ tree: any CaptureTree) throws(CaptureTreeError) {
        switch job {
        case .backup: try backUp(tree)
        case .changePassword(let old, let new):
            try put(Array("\(old ?? "-") \(new ?? "-")".utf8), root.appending("words"), tree)
        case .restore(let restore): try follow(restore, tree)
        }
    }

    /// Everything that can be asked for, with what must come of it; a difference ends the process.
    private static func backUp(_ tree: any CaptureTree) throws(CaptureTreeError) {
        try tree.makeDirectory(root)
        for number in 0..<2000 { try put(small(number), smallPath(number), tree) }
        try tree.beginFile(root.appending("big"))
        for piece in 0..<20 {
            try tree.append([UInt8](repeating: UInt8(piece), count: 300_000))
        }
        try tree.endFile()
        try tree.beginFile(root.appending("lost"))
        try tree.append([1, 2, 3])
        try tree.dropFile("The phone could not read it.")
        try tree.notice("waiting_for_user", "Enter the passcode")
        try tree.progress(RunProgress(phase: .reading, filesDone: 2001, bytesDone: 7))
        try tree.settle()
        try readBack(tree)
        try listAFile(tree)
        try change(tree)
    }

    private static func readBack(_ tree: any CaptureTree) throws(CaptureTreeError) {
        var bytes: [UInt8] = []
        try tree.read(root.appending("big")) { piece throws(CaptureTreeError) in
            bytes += piece
            try tree.progress(RunProgress(phase: .reading))
            try tree.keepAlive()
            return true
        }
        demand(bytes.count == 6_000_000 && bytes[300_000] == 1 && bytes.last == 19)
        var pieces = 0
        try tree.read(root.appending("big")) { _ throws(CaptureTreeError) in
            pieces += 1
            return false
        }
        demand(pieces == 1)
        demand(try tree.stat(root.appending("big"))?.byteCount == 6_000_000)
        demand(try tree.stat(root.appending("lost")) == nil)
        let entries = try tree.list(root.appending("3"))
        demand(entries.count == 125 && entries.allSatisfy { !$0.isFolder })
        demand(try tree.freeBytes() > 0)
        demand(
            refusal { () throws(CaptureTreeError) in
                try tree.read(root.appending("none")) { _ throws(CaptureTreeError) in true }
            } == .noEntry)
        demand(
            refusal { () throws(CaptureTreeError) in
                _ = try tree.list(root.appending("none"))
            } == .noEntry)
    }

    private static func listAFile(_ tree: any CaptureTree) throws(CaptureTreeError) {
        demand(
            refusal { () throws(CaptureTreeError) in
                _ = try tree.list(root.appending("big"))
            } == .notDirectory)
    }

    private static func change(_ tree: any CaptureTree) throws(CaptureTreeError) {
        try tree.move(root.appending("3"), to: root.appending("moved"))
        try tree.copy(root.appending("moved"), to: root.appending("copy"))
        try tree.remove(root.appending("4"))
        try tree.remove(root.appending("missing"))
        try tree.settle()
        try tree.move(root.appending("missing"), to: root.appending("5"))
        // A folder that a file stands in the way of: the file's own content is passed over.
        try put([1, 2], root.appending("big").appending("inner"), tree)
        try put([3], root.appending("after"), tree)
        demand(refusal { () throws(CaptureTreeError) in try tree.settle() } == .noEntry)
        try tree.settle()
    }

    private static func put(
        _ content: [UInt8], _ path: EntryPath, _ tree: any CaptureTree
    ) throws(CaptureTreeError) {
        try tree.beginFile(path)
        try tree.append(content)
        try tree.endFile()
    }

    private static func small(_ number: Int) -> [UInt8] {
        [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: number)
    }

    private static func smallPath(_ number: Int) -> EntryPath {
        root.appending(EntryName("\(number % 16)")).appending(EntryName("f\(number)"))
    }

    private static func refusal(
        _ body: () throws(CaptureTreeError) -> Void
    ) -> CaptureTreeError.Refusal? {
        do { try body() } catch .refused(let refusal, _) { return refusal } catch {}
        return nil
    }

    private static func demand(_ isTrue: Bool) {
        if !isTrue { exit(77) }
    }

    /// Ends in the way that the restore's source names.
    private static func follow(
        _ restore: PhoneRestore, _ tree: any CaptureTree
    ) throws(CaptureTreeError) {
        switch restore.source {
        case "exits":
            try tree.beginFile(root.appending("half"))
            try tree.append([UInt8](repeating: 1, count: 900_000))
            exit(3)
        case "fails":
            try put([1], root.appending("one"), tree)
            throw .ended(
                DeviceError(.wrongPassword, "Not that one", nativeCode: 207, advice: "Ask."))
        case "waits":
            while true {
                try tree.keepAlive()
                usleep(1000)
            }
        case "floods":
            try tree.beginFile(root.appending("flood"))
            while true { try tree.append([UInt8](repeating: 7, count: 1 << 20)) }
        default: demand(false)
        }
    }
}
