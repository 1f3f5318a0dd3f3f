/// Does `work` for each element, up to `width` elements at once, and hands the results to `use` in
/// the elements' order.
///
/// Nothing is begun more than `ahead` elements (at least and by default `width`) ahead of what was
/// used, which bounds the results that wait; more than `width` keep the others at work while one
/// takes long. An error of `use` ends it: what runs is cancelled, waited for and dropped.
package func inOrder<Element: Sendable, Value: Sendable, Failure: Error>(
    _ elements: [Element], width: Int, ahead: Int = 0,
    work: @escaping @Sendable (Element) async -> Value,
    use: (Element, Value) async throws(Failure) -> Void
) async throws(Failure) {
    let outcome = await withTaskGroup(of: (Int, Value).self) { group -> Result<Void, Failure> in
        var begun = 0
        var used = 0
        var running = 0
        var waiting: [Int: Value] = [:]
        while used < elements.count {
            while running < max(1, width),
                begun < min(elements.count, used + max(1, width, ahead))
            {
                let position = begun
                let element = elements[position]
                group.addTask { (position, await work(element)) }
                begun += 1
                running += 1
            }
            guard let value = waiting.removeValue(forKey: used) else {
                // One that is neither waiting nor used is running, so there is a next one.
                if let (position, value) = await group.next() {
                    waiting[position] = value
                    running -= 1
                }
                continue
            }
            do throws(Failure) { try await use(elements[used], value) } catch {
                group.cancelAll()
                return .failure(error)
            }
            used += 1
        }
        return .success(())
    }
    try outcome.get()
}
