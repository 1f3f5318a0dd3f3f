import Glibc

/// Files past the code under test.
enum PlainFiles {
    static func makeFolder(_ path: String) { mkdir(path, 0o700) }

    static func write(_ path: String, _ bytes: [UInt8]) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        guard file >= 0 else { return }
        defer { close(file) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    /// The paths of all files beneath a folder.
    static func paths(beneath folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var found: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name != ".", name != ".." else { continue }
            let path = "\(folder)/\(name)"
            if entry.pointee.d_type == UInt8(DT_DIR) {
                found += paths(beneath: path)
            } else {
                found.append(path)
            }
        }
        return found
    }

    /// A folder that is new and empty.
    static func renew(_ path: String) {
        remove(path)
        makeFolder(path)
    }

    static func remove(_ path: String) {
        _ = Spawned.run(["rm", "-rf", "--one-file-system", path])
    }
}

/// Programs others wrote.
enum Spawned {
    /// Runs a program, silently, and gives its exit status; -1 when it could not be started or
    /// did not exit by itself.
    static func run(_ arguments: [String], environment: [String] = []) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for descriptor: Int32 in 0...2 {
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
        }
        let words = arguments.map { strdup($0) } + [nil]
        let variables =
            (environment + ["PATH=/usr/bin:/bin:/usr/sbin:/sbin"]).map { strdup($0) } + [nil]
        defer { for text in words + variables { free(text) } }
        var pid = pid_t()
        guard posix_spawnp(&pid, arguments[0], &actions, nil, words, variables) == 0 else {
            return -1
        }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : -1
    }
}
